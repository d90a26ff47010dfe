"""The first addresses that somebody tries: the root of the host, and that of the API."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from tests.contract.routes import assert_contract


@pytest.mark.parametrize(
    ("accept", "target"),
    [
        ("text/html,application/xhtml+xml,application/json;q=0.9", "/admin/"),
        ("*/*", "/admin/"),
        ("", "/admin/"),
        ("application/json", "/api/"),
    ],
)
def test_the_root_leads_people_to_the_admin_and_programs_to_the_api(
    client: Client, accept: str, target: str
) -> None:
    response = client.get("/", HTTP_ACCEPT=accept)
    assert (response.status_code, response.headers["Location"]) == (302, target)
    assert "Accept" in response.headers["Vary"]
    assert client.post("/").status_code == 405


@pytest.mark.django_db
@pytest.mark.mongo
@pytest.mark.redis
@pytest.mark.usefixtures("sample_tree")
def test_the_first_address_of_the_api_names_the_others(
    api: APIClient, admin: APIClient, settings: Any
) -> None:
    response = api.get("/api/")
    assert_contract(response, of="GET /api/")
    assert response.json() == api.get("/api").json()
    reported = response.json()["data"]
    assert (reported["name"], reported["version"]) == (
        settings.SPECTACULAR_SETTINGS["TITLE"],
        settings.SPECTACULAR_SETTINGS["VERSION"],
    )
    assert {"docs", "schema", "health", "ready", "figures"} <= set(reported["links"])
    for address in reported["links"].values():
        # Some need parameters, another method or a worker; each is there.
        assert admin.get(address).status_code in (200, 400, 405, 503), address
    assert api.post("/api/").status_code == 405
    assert api.get("/api/?unknown=1").status_code == 400
