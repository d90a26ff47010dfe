"""What every test shares: clean servers, a process without memories, and clients of the API.

A test that touches MongoDB is marked ``django_db`` and ``mongo``, one that touches Redis ``redis``. Both find
empty servers: MongoDB has no transactions to roll back here, so its collections are emptied after each test.
"""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pymongo
import pytest
import redis
import structlog
from django.conf import settings as django_settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client, TransactionTestCase
from django.utils import translation
from rest_framework.test import APIClient

from apps.auth import services
from apps.auth.choices import TokenScope
from apps.core import process_state
from apps.core.storage.clock import mongo_clock
from apps.core.storage.periodic_flush import PeriodicFlush
from apps.core.storage.redis import get_redis
from apps.core.storage.sessions import SessionStore
from apps.launcher.embedded import EmbeddedError, start_redis
from tests.described import assert_described
from tests.factories.categories import Node, make_tree, store_tree
from tests.missing import leave_out
from tests.parallel import own_port

# Says that a Redis database belongs to the tests, which empty it again and again.
_OWNER_KEY = "collector-tests:this-database-is-emptied-by-tests"
# What migrations fill once and no test changes.
_KEPT_COLLECTIONS = frozenset({"django_migrations", "django_content_type", "auth_permission"})
_FLUSH_TIMEOUT_SECONDS = 60
_PATIENCE_SECONDS = 20
_WAITS = (
    "MONGO_AWAKE_TIMEOUT_SECONDS",
    "AUTH_TIMEOUT_SECONDS",
    "PARTS_DEADLINE_SECONDS",
    "ALERTS_TIMEOUT_SECONDS",
    "RUN_CANCEL_SECONDS",
    "HEALTH_CHECK_TIMEOUT_SECONDS",
    "CLOCKS_DEADLINE_SECONDS",
    "DIAGNOSIS_LIMIT_SECONDS",
    "DIAGNOSIS_REQUEST_SECONDS",
)
_OUTAGE_REMEMBERED_SECONDS = 3600


# --- Clean servers --------------------------------------------------------------------------------


# A busy machine makes no example fail; everything else is as the profile of this environment says.
hypothesis.settings.register_profile("patient", hypothesis.settings(), deadline=None)
hypothesis.settings.load_profile("patient")


@pytest.fixture(scope="session", autouse=True)
def _faster_than_django() -> Iterator[None]:
    """Hash passwords cheaply, and empty collections without recreating every permission each time.

    Static files are looked up when one is asked for: each client of a test would look through all of them
    at its first request, which takes longer than most tests.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(django_settings, "WHITENOISE_AUTOREFRESH", True, raising=False)
        patch.setattr(django_settings, "PASSWORD_HASHERS", ["django.contrib.auth.hashers.MD5PasswordHasher"])
        patch.setattr(TransactionTestCase, "_fixture_teardown", lambda _self: empty_collections())
        yield


@pytest.fixture(scope="session", autouse=True)
def _patience() -> Iterator[None]:
    """Take a server on a busy machine for slow and not for down: no test in this process has one that hangs.

    Tests of what hangs start processes with the product's own limits, or use clients of their own. An outage
    that a test notes lasts until it is over, however slow the test is.
    """
    pool = django_settings.CACHES["default"]["OPTIONS"]["CONNECTION_POOL_KWARGS"]
    mongo = connection.settings_dict["OPTIONS"]
    with pytest.MonkeyPatch.context() as patch:
        for name in ("connectTimeoutMS", "serverSelectionTimeoutMS", "timeoutMS"):
            patch.setitem(mongo, name, _PATIENCE_SECONDS * 1000)
        for name in ("socket_timeout", "socket_connect_timeout"):
            patch.setitem(pool, name, _PATIENCE_SECONDS)
        for name in _WAITS:
            patch.setattr(django_settings, name, _PATIENCE_SECONDS)
        patch.setattr(django_settings, "OUTAGE_REMEMBERED_SECONDS", _OUTAGE_REMEMBERED_SECONDS)
        patch.setattr(django_settings, "OBSTACLE_REMEMBERED_SECONDS", 0)
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_flush_behind_a_test() -> Iterator[None]:
    """Start no thread that flushes: what a test has gathered is flushed by what it calls, and only then."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PeriodicFlush, "start", lambda _self: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def _own_clock() -> Iterator[None]:
    """Let this process follow its own clock, so that tests can move it; a fixture ``following`` ends this."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mongo_clock, "note", lambda *_args, **_options: None)
        yield


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> None:
    """Give the first test the same empty collections as all others: migrations fill some."""
    with django_db_blocker.unblock():
        empty_collections()


@pytest.fixture(scope="session")
def django_db_modify_db_settings() -> None:
    """Leave the name of the database alone: :mod:`tests.environment` has given each worker its own."""


def empty_collections() -> None:
    """Delete every document of the test database, those of collections without a model too."""
    with pymongo.timeout(_FLUSH_TIMEOUT_SECONDS):
        database = connection.database
        assert database.name.startswith("test_"), "this is not the tests' own database"
        names = database.list_collection_names(filter={"type": "collection"})  # views are empty then
        emptied = [one for one in names if one not in _KEPT_COLLECTIONS and not one.startswith("system.")]
        for name in _filled_of(database, emptied):
            database[name].delete_many({})


def _filled_of(database: pymongo.database.Database[Any], names: list[str]) -> list[str]:
    """Return the collections that hold a document; one question for all of them costs a tenth of one each."""

    def name_if_filled(name: str) -> list[dict[str, Any]]:
        return [{"$limit": 1}, {"$project": {"_id": 0, "name": {"$literal": name}}}]

    if not names:
        return []
    first, *others = names
    unions = [{"$unionWith": {"coll": name, "pipeline": name_if_filled(name)}} for name in others]
    return [found["name"] for found in database[first].aggregate(name_if_filled(first) + unions)]


@pytest.fixture(scope="session")
def redis_server() -> Iterator[redis.Redis]:
    """The Redis database of the tests; one that holds other data is refused."""
    client = get_redis()
    if client.dbsize() and not client.exists(_OWNER_KEY):
        pytest.exit(
            "The Redis database in REDIS_URI is not empty, and the tests would delete what is in it. "
            "Name another one (redis://host:port/15), or empty this one yourself.",
            returncode=pytest.ExitCode.USAGE_ERROR,
        )
    empty_redis(client)
    yield client
    client.flushdb()


def empty_redis(client: redis.Redis) -> None:
    """Delete every key of the tests' own database."""
    client.flushdb()
    client.set(_OWNER_KEY, 1)


def _uses_servers(request: pytest.FixtureRequest) -> bool:
    has_mark = any(request.node.get_closest_marker(name) for name in ("redis", "mongo", "django_db"))
    return has_mark or bool({"db", "transactional_db", "redis_client"} & set(request.fixturenames))


@pytest.fixture(autouse=True)
def _clean_state(request: pytest.FixtureRequest) -> Iterator[None]:
    """Begin as a process that has just started, beside an empty Redis."""
    if _uses_servers(request):
        empty_redis(request.getfixturevalue("redis_server"))
    _forget_everything()
    yield
    _forget_everything()


def _forget_everything() -> None:
    """Forget what the process remembers, and what a request of a test client leaves in its thread."""
    process_state.forget_all()
    translation.deactivate()
    structlog.contextvars.clear_contextvars()


@pytest.fixture
def written_log() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Return what tells the log lines written so far, each as the dictionary of its JSON."""
    root = logging.getLogger()
    configured = next(handler for handler in root.handlers if handler.get_name() == "stderr")
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(configured.formatter)
    root.addHandler(handler)
    yield lambda: [json.loads(line) for line in stream.getvalue().split("\n") if line]
    root.removeHandler(handler)


# --- Clients --------------------------------------------------------------------------------------


@pytest.fixture
def redis_client(redis_server: redis.Redis) -> redis.Redis:
    """The tests' Redis database, empty at the start of each test."""
    return redis_server


@pytest.fixture
def own_redis(redis_server: redis.Redis, tmp_path: Path, settings: Any) -> Iterator[redis.Redis]:
    """A Redis for one test, which may let it refuse or stop; the product uses it meanwhile."""
    try:
        server = start_redis(tmp_path / "redis", port=own_port())
    except EmbeddedError as error:
        leave_out(f"this test needs a Redis of its own, and there is none: {error}")
    settings.REDIS_URI = server.uri
    default = {**settings.CACHES["default"], "LOCATION": server.uri}
    settings.CACHES = {**settings.CACHES, "default": default}  # Django connects anew
    with redis.Redis.from_url(server.uri) as client:
        yield client
    server.stop()


def bearer_client(token: str, **options: Any) -> APIClient:
    """Return a client that sends this token with every request."""
    client = APIClient(**options)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client


@pytest.fixture
def api() -> APIClient:
    """A client without a token."""
    return APIClient()


@pytest.fixture
def reader_token(db: None) -> str:
    """The text of an API token with the scope reader."""
    return services.create_token(label="reader", created_by="tests").token


@pytest.fixture
def admin_token(db: None) -> str:
    """The text of an API token with the scope admin."""
    return services.create_token(label="admin", created_by="tests", scope=TokenScope.ADMIN).token


@pytest.fixture
def reader(reader_token: str) -> APIClient:
    """A client with a reader's token."""
    return bearer_client(reader_token)


@pytest.fixture
def admin(admin_token: str) -> APIClient:
    """A client with an admin's token."""
    return bearer_client(admin_token)


def log_in(client: Client, user: User) -> None:
    """Give a browser the session that a login makes, in a third of the time: no earlier one is replaced."""
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = django_settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    client.cookies[django_settings.SESSION_COOKIE_NAME] = session.session_key


@pytest.fixture
def site(db: None, client: Client) -> Client:
    """A browser in the admin, of the superuser chief."""
    log_in(client, User.objects.create_superuser("chief"))
    return client


@pytest.fixture
def looker(db: None) -> Client:
    """A browser in the admin, of a staff user who may see everything and change nothing."""
    client = Client()
    user = User.objects.create_user("looker", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    log_in(client, user)
    return client


@pytest.fixture(scope="session", autouse=True)
def _every_response_is_described() -> Iterator[None]:
    """Compare each response of the API with the OpenAPI document, whatever the test asks for."""
    request_of = Client.request

    def request(self: Client, **environ: Any) -> Any:
        response = request_of(self, **environ)
        has_body = environ.get("CONTENT_LENGTH") not in (None, "", "0", 0)
        assert_described(
            environ.get("REQUEST_METHOD", "GET"), environ["PATH_INFO"], response, has_body=has_body
        )
        return response

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Client, "request", request)
        yield


# --- Data -----------------------------------------------------------------------------------------


@pytest.fixture
def sample_tree(db: None) -> list[Node]:
    """A small category tree, imported: 1000 and 2000 with two children each (1001, 1002, 2001, 2002)."""
    return store_tree(make_tree(level1_count=2, child_count=4))
