from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from rest_framework.test import APIClient

from apps.auth.choices import CredentialKind, TokenScope
from apps.auth.principal import Principal
from apps.core import cache
from apps.core.outages import mongo_outage


@pytest.fixture
def nothing_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process has just started, and Redis holds no answer."""
    monkeypatch.setattr(cache, "_process_cache", cache._ProcessCache())
    cache.clear_all()


@pytest.fixture(autouse=True)
def no_remembered_outage() -> Iterator[None]:
    mongo_outage.forget()
    yield
    mongo_outage.forget()


@pytest.fixture
def client() -> APIClient:
    """A client whose every request comes from a reader."""
    client = APIClient()
    client.force_authenticate(
        Principal(
            username="reader",
            scope=TokenScope.READER,
            kind=CredentialKind.TOKEN,
            expires_at=datetime.now(UTC) + timedelta(hours=1),
        )
    )
    return client
