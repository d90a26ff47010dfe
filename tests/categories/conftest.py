from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from rest_framework.test import APIClient

from apps.auth.choices import CredentialKind, TokenScope
from apps.auth.principal import Principal


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
