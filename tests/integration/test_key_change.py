"""Keys are changed host by host while the product runs; processes with different keys work together.

One web server is at the first step (it signs with the old keys), another one and the worker cluster are at
the second step (they sign with the new keys), and one is at the last step: it knows the new keys only.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest
from django.core import signing
from django.utils import timezone
from django_q.conf import Conf
from django_q.signing import PickleSerializer

from apps.core.scheduling.broker import RedisBroker
from apps.core.scheduling.pulse import BEAT_TASK
from apps.core.signing import SIGNATURE_HEADER, sign
from tests.integration.conftest import run_stack
from tests.integration.parts import WebServer, new_client
from tests.integration.stack import Shape, Stack, metrics_of
from tests.integration.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.mongo, pytest.mark.redis]

NAMES = ("SECRET_KEY", "JWT_SECRET", "WEBHOOK_SECRET")
OLD = {name: f"the-former-{name}-of-many-characters" for name in NAMES}
NEW = {name: f"the-newest-{name}-of-many-characters" for name in NAMES}
WEBHOOK = "/api/webhook/mengla-notify"
HEARTBEAT = b'{"executionId":"none-of-ours","status":"running"}'
SESSION = "sessionid"
PASSWORD = "a-password-of-many-characters"


def step(current: dict[str, str], others: dict[str, str] | None = None) -> dict[str, str]:
    """The variables of a host at one step of the change."""
    return current | {f"{name}_PREVIOUS": value for name, value in (others or {}).items()}


@dataclass(frozen=True)
class Hosts:
    """A web server of each step; the cluster is at the second one."""

    stack: Stack
    first: WebServer
    second: WebServer
    last: WebServer


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    variables = {"ADMIN_PASSWORD": PASSWORD, **step(OLD, NEW)}
    shape = Shape(web_workers=1, clusters=0, variables=variables)
    for stack in run_stack("keys", tmp_path_factory.mktemp("keys"), shape):
        for secret in (*OLD.values(), *NEW.values(), PASSWORD):
            stack.remember(secret)
        stack.start_cluster(step(NEW, OLD))
        second = stack.start_other_web("web-second", step(NEW, OLD))
        last = stack.start_other_web("web-last", step(NEW, dict.fromkeys(NAMES, "")))
        for web in (second, last):
            web.wait_until_ready()
        stack.clusters[0].wait_until_ready()
        yield Hosts(stack, stack.web, second, last)


def log_in(web: WebServer) -> str:
    """Return a login token."""
    with new_client(web.url) as client:
        answer = client.post("/api/auth/login", json={"username": "admin", "password": PASSWORD})
    return str(answer.json()["data"]["token"])


def status_of(web: WebServer, token: str) -> int:
    with new_client(web.url, token) as client:
        return client.get("/api/auth/me").status_code


def start_session(web: WebServer) -> str:
    """Log in by the form of the admin, and return the key of the session."""
    with new_client(web.url) as client:
        client.get("/admin/login/")
        form = {
            "username": "admin",
            "password": PASSWORD,
            "csrfmiddlewaretoken": client.cookies["csrftoken"],
            "next": "/admin/",
        }
        assert client.post("/admin/login/", data=form).status_code == httpx.codes.FOUND
        return client.cookies[SESSION]


def page_of(web: WebServer, session: str) -> httpx.Response:
    with new_client(web.url) as client:
        client.cookies.set(SESSION, session)
        return client.get("/admin/collector_auth/apitoken/")


def notify(web: WebServer, keys: dict[str, str]) -> int:
    """Send a webhook that is signed with one of the keys; returns the status."""
    header = {SIGNATURE_HEADER: sign(HEARTBEAT, keys["WEBHOOK_SECRET"])}
    with httpx.Client(trust_env=False) as client:
        return client.post(f"{web.url}{WEBHOOK}", content=HEARTBEAT, headers=header).status_code


def test_login_tokens_of_both_keys_are_valid_until_the_old_one_is_removed(hosts: Hosts) -> None:
    old, new = log_in(hosts.first), log_in(hosts.second)
    webs = (hosts.first, hosts.second, hosts.last)
    assert [status_of(web, new) for web in webs] == [200, 200, 200]
    assert [status_of(web, old) for web in webs] == [200, 200, 401]


def test_a_session_wanders_between_the_hosts_under_one_name(hosts: Hosts) -> None:
    session = start_session(hosts.first)
    for web in (hosts.second, hosts.first, hosts.second, hosts.second):
        answer = page_of(web, session)
        assert answer.status_code == httpx.codes.OK
        assert answer.cookies.get(SESSION, session) == session
    assert page_of(hosts.last, session).status_code == httpx.codes.OK


def test_a_session_that_no_host_has_signed_anew_ends_with_the_old_key(hosts: Hosts) -> None:
    session = start_session(hosts.first)
    answer = page_of(hosts.last, session)
    assert answer.status_code == httpx.codes.FOUND
    assert answer.headers["Location"].startswith("/admin/login/")


def test_webhooks_with_either_signature_are_accepted_until_the_old_one_is_removed(hosts: Hosts) -> None:
    webs = (hosts.first, hosts.second, hosts.last)
    assert [notify(web, NEW) for web in webs] == [200, 200, 200]
    assert [notify(web, OLD) for web in webs] == [200, 200, 403]


def test_a_worker_runs_the_tasks_of_hosts_with_the_other_key(hosts: Hosts) -> None:
    stack, sent = hosts.stack, set()
    with stack.redis() as client:
        for keys in (OLD, NEW):
            sent.add(task_id := uuid.uuid4().hex)
            task = {"id": task_id, "name": "beat", "func": BEAT_TASK, "args": (), "kwargs": {}, "save": True}
            packed = signing.dumps(
                task | {"started": timezone.now()},
                key=keys["SECRET_KEY"],
                salt=Conf.PREFIX,
                serializer=PickleSerializer,
            )
            client.rpush(RedisBroker().list_key, packed)
    wait_until(
        lambda: sent <= set(stack.database.django_q_task.distinct("id")),
        timeout_seconds=30,
        what="the worker has run both tasks",
    )


def test_a_read_is_collected_whichever_host_it_comes_to(hosts: Hosts) -> None:
    stack = hosts.stack
    for web in (hosts.first, hosts.second):
        question = stack.questions.one()
        with new_client(web.url, stack.token) as client:
            collection_id = stack.collection_id_of(question, stack.ask(question, client=client))
        wait_until(
            lambda collection_id=collection_id: stack.collection(collection_id)["attempts"],
            timeout_seconds=20,
            what="the cluster sends it to the collection service",
        )
    assert "Failed to push task to queue" not in stack.log_text()


def test_a_host_with_the_old_key_sees_the_cluster_of_the_new_one(hosts: Hosts) -> None:
    for web in (hosts.first, hosts.second, hosts.last):
        with new_client(web.url) as client:
            assert "collector_worker_clusters 1.0" in metrics_of(client)
