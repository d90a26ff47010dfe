"""What the tests of logins and tokens share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import redis
from django.contrib.auth.models import User
from django.test import Client

from apps.auth import selectors, services
from apps.auth.choices import TokenScope
from apps.core.storage import redis as core_redis
from tests.silence import no_mongo

PASSWORD = "correct horse battery staple"
CLOSED_PORT = 1


class FakeClock:
    """A monotonic clock that the test moves."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds

    def advance(self, seconds: float) -> None:
        self.seconds += seconds


@dataclass(frozen=True)
class Answer:
    """An answer of the API, unwrapped."""

    status: int
    body: dict[str, Any]
    headers: Any

    @property
    def data(self) -> Any:
        return self.body["data"]


class Api:
    """Speaks JSON with the addresses of the app."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = None,
        authorization: str | None = None,
        address: str = "192.0.2.1",
    ) -> Answer:
        extra = {"REMOTE_ADDR": address}
        header = authorization if authorization is not None else token and f"Bearer {token}"
        if header is not None:
            extra["HTTP_AUTHORIZATION"] = header
        sends_body = {"data": body, "content_type": "application/json"} if body is not None else {}
        response = getattr(self.client, method)(f"/api/auth/{path}", **sends_body, **extra)
        return Answer(response.status_code, response.json(), response.headers)

    def log_in(self, username: str = "ana", password: str = PASSWORD, **kwargs: Any) -> Answer:
        return self.call("post", "login", {"username": username, "password": password}, **kwargs)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def http(client: Client) -> Api:
    return Api(client)


@pytest.fixture
def user(db: None) -> User:
    return User.objects.create_user("ana", password=PASSWORD)


@pytest.fixture
def staff(db: None) -> User:
    return User.objects.create_user("boss", password=PASSWORD, is_staff=True)


@pytest.fixture
def reader_credential(db: None) -> services.CreatedToken:
    return services.create_token(label="reader program", created_by="boss")


@pytest.fixture
def admin_credential(db: None) -> services.CreatedToken:
    return services.create_token(label="admin program", created_by="boss", scope=TokenScope.ADMIN)


@pytest.fixture
def redis_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every Redis operation of the process is refused."""
    closed = redis_client(CLOSED_PORT)
    monkeypatch.setattr(core_redis, "get_redis", lambda: closed)


@pytest.fixture
def mongo_is_down(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every question of the authentication to MongoDB fails; returns the questions that were asked."""
    asked: list[str] = []

    def fail(key: str) -> None:
        asked.append(key)
        no_mongo()

    monkeypatch.setattr(selectors, "load_token_state", fail)
    monkeypatch.setattr(selectors, "load_user_state", fail)
    return asked


def redis_client(port: int, *, timeout_seconds: float = 0.3) -> redis.Redis:
    """Return a client as django-redis makes it: on a pool, which does not retry by itself."""
    return redis.Redis(
        connection_pool=redis.ConnectionPool.from_url(
            f"redis://127.0.0.1:{port}/0",
            socket_timeout=timeout_seconds,
            socket_connect_timeout=timeout_seconds,
        )
    )


def nested(depth: int) -> list[Any]:
    """Return lists in lists."""
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value
