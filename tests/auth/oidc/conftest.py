"""The provider, and the settings with which our product uses it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.auth.oidc.process import ProviderProcess, running_provider


@pytest.fixture(scope="package")
def provider_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProviderProcess]:
    with running_provider(tmp_path_factory.mktemp("provider")) as provider:
        yield provider


@pytest.fixture
def provider(provider_process: ProviderProcess, settings: Any) -> Iterator[ProviderProcess]:
    """The provider without a fault, and with the product's settings for it."""
    settings.OIDC_ISSUER_URL = provider_process.url
    settings.OIDC_CLIENT_ID = "mengla"
    settings.OIDC_CLIENT_SECRET = "the-client-secret"
    settings.OIDC_GROUP_ROLES = ("readers=viewer", "ops=operator", "owners=superuser", "ghosts=nowhere")
    provider_process.set_fault("")
    yield provider_process
    provider_process.set_fault("")
