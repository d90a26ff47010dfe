"""Users of the admin with different rights, a receiver of alerts, and servers that are really not there."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connections
from django.test import Client
from django_mongodb_backend.base import DatabaseWrapper

from apps.core.storage.database.client import Client as MongoClient
from tests.admin.alerts.receiver import Receiver
from tests.conftest import log_in

CLOSED_PORT = 1
JSON = {"HTTP_ACCEPT": "application/json"}


@pytest.fixture
def staff(db: None) -> Callable[..., Client]:
    """Return what makes the browser of a staff user with these permissions alone."""

    def make(*codenames: str) -> Client:
        user = User.objects.create_user(f"staff-{'-'.join(codenames)}"[:150], is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
        client = Client()
        log_in(client, user)
        return client

    return make


@pytest.fixture
def viewer(staff: Callable[..., Client]) -> Client:
    """A browser of a user who may view everything here, and change nothing."""
    return staff("view_record", "view_collection", "view_synctask", "view_category")


@pytest.fixture
def mongo_gone(settings: Any) -> Iterator[Callable[[], None]]:
    """Return what makes MongoDB be not there, in all threads of this process."""
    # Servers that do not exist need no long time-outs.
    settings.MONGO_AWAKE_TIMEOUT_SECONDS = settings.AUTH_TIMEOUT_SECONDS = 0.3
    settings.HEALTH_CHECK_TIMEOUT_SECONDS = 0.3
    settings.PARTS_DEADLINE_SECONDS = 1
    connection = connections["default"]
    pools, alias = DatabaseWrapper._connection_pools, connection.alias
    connection.ensure_connection()
    living = pools[alias]
    dead: MongoClient = MongoClient("127.0.0.1", CLOSED_PORT, serverSelectionTimeoutMS=50)

    def use(client: MongoClient) -> None:
        pools[alias] = client
        connection.connection = client
        connection.init_connection_state()

    yield lambda: use(dead)
    use(living)
    dead.close()


@pytest.fixture
def redis_gone(settings: Any) -> Callable[[], None]:
    """Return what makes Redis be not there, in all threads of this process."""

    def close() -> None:
        caches = copy.deepcopy(settings.CACHES)
        caches["default"]["LOCATION"] = f"redis://127.0.0.1:{CLOSED_PORT}/0"
        settings.CACHES = caches

    return close


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    """The receiver that alerts are posted to."""
    with Receiver() as running:
        settings.ALERT_WEBHOOK_URL = running.url
        settings.ALERT_WEBHOOK_SECRET = "the-secret-of-the-receiver"
        yield running
