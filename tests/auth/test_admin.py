"""API tokens in the Django admin."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from apps.auth import services
from apps.auth.credentials import hash_api_token
from apps.auth.models import ApiToken

pytestmark = [pytest.mark.mongo, pytest.mark.redis, pytest.mark.django_db]

LIST = "/admin/collector_auth/apitoken/"


@pytest.fixture
def site(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("chief"))
    return client


def test_pages_show_the_token_and_never_its_hash(
    site: Client, reader_credential: services.CreatedToken
) -> None:
    for path in (LIST, f"{LIST}{reader_credential.id}/change/", f"{LIST}?q=reader", f"{LIST}?scope=reader"):
        response = site.get(path)
        assert response.status_code == 200, path
        page = response.content.decode()
        assert "reader program" in page
        assert hash_api_token(reader_credential.token) not in page


def test_revoke_goes_through_the_service(
    site: Client, reader_credential: services.CreatedToken, admin_credential: services.CreatedToken
) -> None:
    services.revoke_token(token_id=admin_credential.id, revoked_by="boss")
    form = {"action": "revoke", "_selected_action": [reader_credential.id, admin_credential.id]}
    response = site.post(LIST, form, follow=True)
    assert "1 token was revoked." in response.content.decode()
    assert not ApiToken.objects.filter(revoked_at__isnull=True).exists()


def test_tokens_are_neither_added_nor_deleted_nor_edited(
    site: Client, reader_credential: services.CreatedToken
) -> None:
    assert site.get(f"{LIST}add/").status_code == 403
    assert site.post(f"{LIST}{reader_credential.id}/delete/", {"post": "yes"}).status_code == 403
    site.post(f"{LIST}{reader_credential.id}/change/", {"label": "changed", "scope": "admin"})
    token = ApiToken.objects.get(pk=reader_credential.id)
    assert (token.label, token.scope) == ("reader program", "reader")
