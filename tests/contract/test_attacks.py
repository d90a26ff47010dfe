"""Known attacks on the pages and the API that no other test tries."""

from __future__ import annotations

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]

PASSWORD = "a long and secret password"
ELSEWHERE = [
    "https://evil.example/",
    "//evil.example/",
    "/\\evil.example/",
    "https:evil.example",
    "javascript:alert(1)",
    "\thttps://evil.example/",
    "http://testserver@evil.example/",
]


@pytest.fixture
def boss() -> User:
    return User.objects.create_superuser("boss", password=PASSWORD)


@pytest.mark.parametrize("address", ELSEWHERE)
def test_no_login_leads_to_another_host(address: str, boss: User, client: Client) -> None:
    form = {"username": "boss", "password": PASSWORD, "next": address}
    assert client.post("/admin/login/", form).headers["Location"] == "/admin/"
    language = client.post("/i18n/setlang/", {"language": "zh-hans", "next": address})
    assert language.headers["Location"] == "/"


def test_a_login_makes_a_new_session(boss: User, client: Client) -> None:
    """Otherwise an attacker could give somebody a session, and use it after the login."""
    name = settings.SESSION_COOKIE_NAME
    client.cookies[name] = planted = "a" * 32
    client.post("/admin/login/", {"username": "boss", "password": PASSWORD})
    first = client.cookies[name].value
    assert first != planted
    assert client.get("/admin/").status_code == 200
    client.cookies[name] = planted
    assert client.get("/admin/").status_code == 302
    client.cookies[name] = first
    client.post("/admin/logout/")
    client.cookies[name] = first
    assert client.get("/admin/").status_code == 302  # it is gone on the server, too


def test_every_page_refuses_a_form_of_another_site(boss: User) -> None:
    """Each address outside the API is asked; a form without a token of the session changes nothing."""
    client = Client(enforce_csrf_checks=True)
    client.force_login(boss)
    asked = 0
    for path in page_paths():
        response = client.post(path, HTTP_ORIGIN="https://evil.example")
        assert response.status_code in (403, 404, 405), path
        asked += response.status_code == 403
    assert asked > 100


def page_paths() -> list[str]:
    """The addresses of the admin, with something in the place of each parameter."""
    found: list[str] = []

    def collect(patterns: list[URLPattern | URLResolver], prefix: str) -> None:
        for one in patterns:
            path = prefix + str(one.pattern)
            if isinstance(one, URLResolver):
                collect(one.url_patterns, path)
            elif "^" not in path and "\\" not in path and "(?P" not in path:
                found.append("/" + "x".join(part.rpartition(">")[2] for part in path.split("<")))

    collect(get_resolver().url_patterns, "")
    return [path for path in found if not path.startswith(("/api", "/static"))]


@pytest.mark.parametrize("path", ["/admin/login/", "/admin/", "/nothing/", "/api/docs", "/admin/data/"])
def test_no_page_can_be_framed_or_run_inline_scripts(path: str, site: Client) -> None:
    headers = site.get(path).headers
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "camera=()" in headers["Permissions-Policy"]
    policy = dict(one.split(" ", 1) for one in headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["form-action"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"


def test_responses_of_the_api_have_the_few_headers_that_count(client: Client) -> None:
    headers = client.get("/api").headers
    assert (headers["X-Content-Type-Options"], headers["X-Frame-Options"]) == ("nosniff", "DENY")
    assert not {"Content-Security-Policy", "Permissions-Policy"} & set(headers)
