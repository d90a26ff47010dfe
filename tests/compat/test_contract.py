"""What holds for every compatible address: off by default, rights, bare errors, hostile input, tokens."""

from __future__ import annotations

import base64
import json
import os
from datetime import date, timedelta
from itertools import product
from typing import Any
from urllib.parse import quote

import jwt
import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.core.checks import run_checks
from django.test import Client
from django.urls import get_resolver, resolve
from rest_framework.test import APIClient

from apps.auth import services
from apps.auth.choices import TokenScope
from apps.auth.models import ApiToken
from apps.core import process_state
from config.env import ConfigurationError, load
from tests.compat.conftest import CALLS, NIGHT_OF_THE_RECORDING, send
from tests.conftest import bearer_client
from tests.contract.routes import HOSTILE_VALUES
from tests.contract.test_envelope import BODIES, LARGEST_BYTES
from tests.factories import UNKNOWN_ID
from tests.factories.categories import store_tree
from tests.programs import run_python

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]

LAST_DAY = date(2026, 12, 31)
ADDRESSES = sorted(
    {
        (call["method"].lower(), call["path"].replace("6b0b1a509cfcb76111e9d838", UNKNOWN_ID))
        for call in CALLS.values()
    }
)
CHANGING = [one for one in ADDRESSES if one[0] != "get"]


def assert_former_error(response: Any, *, of: str) -> None:
    reported = f"{of} -> {response.status_code} {response.content[:300]!r}"
    assert 400 <= response.status_code < 600 and response.status_code != 500, reported
    assert response.headers["Content-Type"] == "application/json", reported
    body = json.loads(response.content)
    assert (body["success"], body["error"]) == (False, "HTTP_ERROR"), reported
    assert isinstance(body["message"], str) and body["message"], reported
    assert isinstance(body["detail"], str) and body["detail"], reported


# --- On and off -----------------------------------------------------------------------------------


def test_it_is_off_by_default(settings: Any, admin: APIClient) -> None:
    assert "COMPAT_API" in dir(django_settings)
    settings.ROOT_URLCONF, settings.API_ROOTS = "config.urls", ("/api",)
    for method, path in ADDRESSES:
        assert getattr(admin, method)(f"/compat{path}").status_code == 404
    assert not any("compat" in str(entry.pattern) for entry in get_resolver().url_patterns)


def test_it_is_switched_on_below_the_prefix() -> None:
    program = (
        "import config.wsgi; from django.conf import settings; from django.urls import resolve;"
        "print(resolve('/old/v1/api/mengla/query').func.cls.__name__, settings.API_ROOTS[1],"
        " settings.CORS_URLS_REGEX, settings.COMPAT_TOKENS_UNTIL)"
    )
    variables = {"COMPAT_API": "1", "COMPAT_PREFIX": "/old/v1/", "COMPAT_TOKENS_UNTIL": "2027-03-31"}
    result = run_python("-c", program, env=os.environ | variables)
    assert result.stdout.split() == [
        *("FiguresViewSet", "/old/v1/api", "^(?:/api|/old/v1/api)(?:/.*)?$", "2027-03-31"),
    ], result.stderr


def test_it_is_no_part_of_the_document(reader: APIClient) -> None:
    paths = json.loads(reader.get("/api/schema", HTTP_ACCEPT="application/json").content)["paths"]
    assert paths
    assert not [path for path in paths if path.startswith("/compat")]


@pytest.mark.parametrize(
    "path", ["", "/", "/nothing", "/auth/login/more", "/mengla", "/%00", "/" + "x" * 4000]
)
def test_there_is_nothing_else_below_the_prefix(admin: APIClient, path: str) -> None:
    for method in ("get", "post"):
        response = getattr(admin, method)(f"/compat/api{path}")
        assert response.status_code == 404
        assert_former_error(response, of=path)


def test_a_slash_at_the_end_changes_nothing(reader: APIClient) -> None:
    assert reader.get("/compat/api/categories/").json() == reader.get("/compat/api/categories").json()


# --- Rights ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "path"), [one for one in ADDRESSES if one[1] != "/api/panel/tasks"])
def test_an_address_needs_the_rights_of_ours(method: str, path: str) -> None:
    former, own = (resolve(f"{prefix}{path}").func for prefix in ("/compat", ""))
    assert former.cls.permission_classes == own.cls.permission_classes
    if method == "get" or path in ("/api/auth/login", "/api/mengla/query"):
        return
    needed = [
        getattr(view.cls, "changes", {}).get(getattr(view, "actions", {}).get(method))
        for view in (former, own)
    ]
    if path.endswith(("cancel-all", "purge", "mengla/status")):
        assert vars(needed[0]) == vars(needed[1])
    else:
        assert needed[0] is needed[1]


@pytest.mark.parametrize(("method", "path"), ADDRESSES)
def test_every_address_needs_a_token(api: APIClient, method: str, path: str) -> None:
    response = getattr(api, method)(f"/compat{path}")
    assert_former_error(response, of=path)
    if path not in ("/api/auth/login", "/api/panel/tasks"):
        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(("method", "path"), CHANGING)
def test_a_reader_changes_nothing(reader: APIClient, method: str, path: str) -> None:
    if path not in ("/api/auth/login", "/api/mengla/query"):
        assert getattr(reader, method)(f"/compat{path}", data={}).status_code == 403


# --- Hostile input --------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "path"), CHANGING)
def test_no_body_breaks_an_address(admin: APIClient, settings: Any, method: str, path: str) -> None:
    settings.WEBHOOK_MAX_BYTES = settings.MAX_BODY_BYTES = LARGEST_BYTES
    admin.raise_request_exception = False
    for name, (content, content_type) in BODIES.items():
        response = admin.generic(method, f"/compat{path}", content, content_type=content_type)
        if response.status_code != 200:
            assert_former_error(response, of=f"{path} with {name}")
        assert response.headers["X-Request-ID"]


def test_no_value_breaks_a_question(reader: APIClient) -> None:
    reader.raise_request_exception = False
    for kind, value in product(("high by day", "trend by month"), HOSTILE_VALUES):
        for name in CALLS[kind]["body"]:
            response = send(reader, kind, **{name: value})
            if response.status_code != 504:  # a product of any name may be collected
                assert response.status_code == 400, f"{name}={value!r}: {response.content!r}"
                assert_former_error(response, of=name)


def test_no_id_breaks_an_address(admin: APIClient) -> None:
    addresses = (
        ("post", "/compat/api/panel/tasks/{}/run"),
        ("post", "/compat/api/sync-tasks/{}/cancel"),
        ("delete", "/compat/api/sync-tasks/{}"),
    )
    for (method, template), value in product(addresses, HOSTILE_VALUES):
        path = template.format(quote(value, safe=""))
        response = getattr(admin, method)(path)
        assert response.status_code in (400, 404, 405), path
        assert_former_error(response, of=path)


@pytest.mark.parametrize("kind", ["high by day", "status", "fill", "backfill", "full crawl", "silence"])
def test_an_unknown_name_is_refused(admin: APIClient, kind: str) -> None:
    response = send(admin, kind, primaryCatId="17027494")
    assert response.status_code == 400
    assert "primaryCatId" in response.json()["message"]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"timest": "2026-13-01"}, "timest"),
        ({"dateType": "WEEK"}, "dateType"),
        ({"action": "none"}, "action"),
        ({"catId": "999"}, "catId"),
        ({"timest": "2099-01-01", "starRange": "", "endRange": ""}, "timest"),
        ({"starRange": "2026-11-26"}, "starRange"),
        ({"action": ["high"]}, "action"),
        ({"timest": 20261127}, "timest"),
    ],
)
@pytest.mark.usefixtures("sample_tree")
def test_a_wrong_value_is_named(reader: APIClient, changes: Any, named: str) -> None:
    response = send(reader, "high by day", **changes)
    assert response.status_code == 400
    assert named in response.json()["message"]
    assert_former_error(response, of=named)


# --- Around the views -----------------------------------------------------------------------------


def test_browsers_of_the_allowed_origins_may_call(settings: Any, reader: APIClient) -> None:
    settings.CORS_ALLOWED_ORIGINS = ["https://old.example.com"]
    response = reader.get("/compat/api/categories", HTTP_ORIGIN="https://old.example.com")
    assert response.headers["Access-Control-Allow-Origin"] == "https://old.example.com"
    preflight = reader.options(
        "/compat/api/mengla/query",
        HTTP_ORIGIN="https://old.example.com",
        HTTP_ACCESS_CONTROL_REQUEST_METHOD="POST",
    )
    assert preflight.headers["Access-Control-Allow-Origin"] == "https://old.example.com"


def test_a_request_has_its_id_and_its_line(reader: APIClient, written_log: Any) -> None:
    response = reader.get("/compat/api/categories", HTTP_X_REQUEST_ID="of-the-client")
    assert response.headers["X-Request-ID"] == "of-the-client"
    (line,) = [one for one in written_log() if one.get("path") == "/compat/api/categories"]
    assert (line["status"], line["request_id"]) == (200, "of-the-client")


def test_errors_of_the_middleware_are_json(client: Client) -> None:
    response = client.get("/compat/api/categories", HTTP_HOST="evil.example.com")
    assert response.status_code == 400
    assert response.json()["success"] is False


def test_no_session_or_form_is_needed(admin_token: str) -> None:
    client = Client(enforce_csrf_checks=True)
    response = client.post(
        "/compat/api/admin/scheduler/pause",
        content_type="application/json",
        HTTP_AUTHORIZATION=f"Bearer {admin_token}",
    )
    assert response.status_code == 200
    assert "Set-Cookie" not in response.headers


def test_texts_are_in_the_language_of_the_caller(reader: APIClient) -> None:
    response = reader.get("/compat/api/nothing", HTTP_ACCEPT_LANGUAGE="zh-hans")
    assert response.json()["message"] != reader.get("/compat/api/nothing").json()["message"]


@pytest.mark.parametrize(
    ("prefix", "admin_path"), [("/admin", "admin/"), ("/old/ops", "old/ops/"), ("/old", "old/api/admin/")]
)
def test_a_prefix_of_the_admin_is_refused(prefix: str, admin_path: str) -> None:
    given = {"ENV_FILE": "", "MONGO_URI": "mongodb://a", "REDIS_URI": "redis://a", "COMPAT_PREFIX": prefix}
    with pytest.raises(ConfigurationError, match="COMPAT_PREFIX must not be a path of the admin"):
        load(given | {"COMPAT_API": "true", "ADMIN_PATH": admin_path})
    assert prefix == load(given | {"COMPAT_API": "true", "ADMIN_PATH": "elsewhere/"}).COMPAT_PREFIX
    assert prefix == load(given | {"ADMIN_PATH": admin_path}).COMPAT_PREFIX  # nothing is in the way


def test_the_system_checks_pass() -> None:
    assert run_checks() == []


# --- Tokens of the former program -----------------------------------------------------------------


def former_token(payload: dict[str, Any] | None = None, **options: Any) -> str:
    """What the former program made of a label."""
    claims = {"sub": "admin", "label": "api"} if payload is None else payload
    return jwt.encode(claims, **{"key": django_settings.JWT_SECRET, "algorithm": "HS256", **options})


@pytest.fixture
def _accepted(settings: Any) -> None:
    settings.COMPAT_TOKENS_UNTIL = LAST_DAY


def status_of(token: str, path: str = "/compat/api/categories") -> int:
    return bearer_client(token).get(path).status_code


def test_without_a_date_they_are_refused() -> None:
    assert status_of(former_token()) == 401


@pytest.mark.usefixtures("_accepted")
class TestFormerTokens:
    def test_read_below_the_prefix_only(self) -> None:
        token = former_token()
        assert status_of(token) == 200
        assert status_of(token, "/api/categories") == 401
        client = bearer_client(token)
        for method, path in ADDRESSES:
            if path not in ("/api/auth/login", "/api/mengla/query", "/api/categories", "/api/panel/tasks"):
                answer = getattr(client, method)(f"/compat{path}", data={})
                assert answer.status_code == (200 if (method, path) == ("get", "/api/panel/config") else 403)

    def test_are_listed_with_their_last_use(self, admin: APIClient) -> None:
        for _ in range(2):
            assert status_of(former_token()) == 200
        rows = [
            row
            for row in admin.get("/api/auth/tokens").json()["data"]["tokens"]
            if row["created_by"] == "former program"
        ]
        assert [(row["label"], row["scope"], row["revoked"]) for row in rows] == [("api", "reader", False)]
        assert rows[0]["last_used_at"]
        assert rows[0]["expires_at"] == "2026-12-31T16:00:00Z"

    def test_are_refused_at_once_when_they_are_revoked(self, admin: APIClient) -> None:
        token = former_token()
        assert status_of(token) == 200
        (row,) = ApiToken.objects.filter(created_by=services.FORMER_PROGRAM)
        assert admin.delete(f"/api/auth/tokens/{row.pk}").status_code == 200
        assert status_of(token) == 401
        process_state.forget_all()  # as another process
        assert status_of(token) == 401
        # The last character of a signature has bits that count for nothing.
        for last in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_":
            assert status_of(token[:-1] + last) == 401
        assert ApiToken.objects.filter(created_by=services.FORMER_PROGRAM).count() == 1

    def test_end_with_the_last_day(self, settings: Any) -> None:
        token = former_token()
        settings.COMPAT_TOKENS_UNTIL = NIGHT_OF_THE_RECORDING.date()
        assert status_of(token) == 200
        settings.COMPAT_TOKENS_UNTIL -= timedelta(days=1)
        assert status_of(token) == 401

    def test_follow_a_date_that_moves(self, settings: Any, admin: APIClient) -> None:
        token = former_token()
        assert status_of(token) == 200
        settings.COMPAT_TOKENS_UNTIL = LAST_DAY + timedelta(days=31)
        process_state.forget_all()
        assert status_of(token) == 200
        rows = admin.get("/api/auth/tokens").json()["data"]["tokens"]
        assert "2027-01-31T16:00:00Z" in [row["expires_at"] for row in rows]

    def test_are_named_by_their_label_or_their_subject(self, written_log: Any) -> None:
        for payload, label in (
            ({"sub": "admin"}, "admin"),
            ({"label": "报表"}, "报表"),
            ({"label": "a\nb"}, "a\ufffdb"),
            ({"label": "x" * 500}, "x" * 50),
        ):
            assert status_of(former_token(payload)) == 200
            assert ApiToken.objects.filter(label=label, scope=TokenScope.READER).count() == 1
        assert not [line for line in written_log() if "eyJ" in json.dumps(line)]

    def test_logins_are_no_permanent_tokens(self) -> None:
        for claims in ({"exp": 4_000_000_000}, {"exp": None}, {"exp": 0}):
            assert status_of(former_token({"sub": "admin", "label": "api", **claims})) == 401
        user = User.objects.create_user("chief", password="a long password", is_staff=True)
        login = services.log_in(username="chief", password="a long password", address="192.0.2.1")
        assert status_of(login.token) == 200
        user.is_active = False
        user.save()
        process_state.forget_all()
        assert status_of(login.token) == 401

    @pytest.mark.parametrize(
        "token",
        [
            lambda: former_token(key="another-secret-that-is-long-enough-for-all"),
            lambda: former_token(algorithm="HS512", key="k" * 64),
            lambda: former_token(algorithm="none", key=None),
            lambda: former_token(algorithm="none", key=None) + former_token().rpartition(".")[2],
            lambda: former_token(headers={"crit": ["exp"], "exp": 1}),
            lambda: former_token({"sub": 5}),
            lambda: former_token({"label": ["api"]}),
            lambda: former_token({"label": ""}),
            lambda: former_token({}),
            lambda: former_token({"label": "api", "aud": "another"}),
            lambda: former_token({"label": "api", "nbf": 4_000_000_000}),
            lambda: former_token({"label": "x" * 4000}),
            lambda: former_token() + "A",
            lambda: former_token() + "=",
            lambda: former_token().replace(".", "..", 1),
            lambda: "eyJhbGciOiJIUzI1NiJ9.e30.",
            lambda: "a.b.c",
            lambda: "." * 3,
            lambda: base64.urlsafe_b64encode(b'{"alg":"HS256"}').decode().rstrip("=") + ".W10.AAAA",
            lambda: "x" * 4096,
            lambda: "类目.类目.类目".encode().decode("latin-1"),
        ],
    )
    def test_what_is_none_is_refused(self, token: Any) -> None:
        assert status_of(token()) == 401
        assert ApiToken.objects.filter(created_by=services.FORMER_PROGRAM).count() == 0


# --- Forms of values ------------------------------------------------------------------------------


@pytest.mark.parametrize("odd", [" ", "\n", "\x1f", "\u3000", "\u2029"], ids=ascii)
def test_no_text_is_trimmed(admin: APIClient, odd: str) -> None:
    store_tree(CALLS["categories"]["answer"]["data"])
    cases = [
        *(
            (kind, {"catId": text})
            for kind in ("status", "fill", "full crawl")
            for text in (odd, f"17027494{odd}")
        ),
        ("high by day", {"catId": odd}),
        ("high by day", {"action": f"hot{odd}"}),
        ("high by day", {"product_id": odd}),
        ("high by day", {"product_id": f"P{odd}"}),
    ]
    for kind, changes in cases:
        response = send(admin, kind, **changes)
        assert response.status_code == 400, (kind, changes, response.content)
        assert_former_error(response, of=kind)


@pytest.mark.parametrize("number", [2**63, 2**64 + 1, -(2**63), 1e19])
def test_numbers_that_would_be_rounded_are_refused(reader: APIClient, number: float) -> None:
    response = send(reader, "high by day", extra={"n": number})
    assert response.status_code == 400
    assert "extra" in response.json()["message"]


@pytest.mark.parametrize(("method", "path"), ADDRESSES)
def test_null_is_no_body(admin: APIClient, method: str, path: str) -> None:
    response = admin.generic(method.upper(), f"/compat{path}", "null", content_type="application/json")
    nowhere = path == "/api/panel/tasks"  # was recorded as a 404
    assert response.status_code == (404 if nowhere else 400), response.content
    assert_former_error(response, of=path)
