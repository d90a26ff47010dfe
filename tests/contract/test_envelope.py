"""The envelope on every address, known and unknown, for every caller and method."""

from __future__ import annotations

from typing import Any

import pytest
from django.views.debug import ExceptionReporter
from rest_framework.test import APIClient

from apps.core.errors import ErrorCode
from tests.contract.routes import (
    HOSTILE_VALUES,
    METHODS,
    PAPERS,
    UNKNOWN_PATHS,
    Route,
    api_routes,
    assert_contract,
)

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]

ROUTES = api_routes()
# Beyond the limit of every address; that of the webhook is lowered, or each test would copy 20 MiB.
LARGEST_BYTES = 2 * 1024 * 1024
# Names of fields of any request; each address reads some of them.
FIELDS = (
    b"action actions catId catIds dateType timest starRange endRange wait refresh extra granularity"
    b" startDate username password label scope expires_hours delete_data modules layout version limit"
    b" rule_name confirm targets apply duration_minutes"
).split()
BODIES: dict[str, tuple[bytes, str]] = {
    "cut off": (b'{"username": ', "application/json"),
    "nothing": (b"", "application/json"),
    "null": (b"null", "application/json"),
    "a list": (b"[1, 2]", "application/json"),
    "a text": (b'"text"', "application/json"),
    "a number": (b"17", "application/json"),
    "a boolean": (b"true", "application/json"),
    "an empty object": (b"{}", "application/json"),
    "not a number": (b'{"timest": NaN}', "application/json"),
    "a lone surrogate": (b'{"timest": "\\ud800"}', "application/json"),
    "not UTF-8": (b'{"timest": "\xff"}', "application/json"),
    "UTF-16": ('{"timest": "2025"}'.encode("utf-16"), "application/json; charset=utf-16"),
    "an unknown charset": (b"{}", "application/json; charset=none-such"),
    "deep": (b"[" * 100_000 + b"]" * 100_000, "application/json"),
    "deep in an object": (b'{"extra": ' + b'{"a":' * 900 + b"1" + b"}" * 901, "application/json"),
    "deep in every field": (
        b"{%s}" % b",".join(b'"%s": %s1%s' % (name, b"[" * 900, b"]" * 900) for name in FIELDS),
        "application/json",
    ),
    "many digits": (b'{"wait": ' + b"9" * 10_000 + b"}", "application/json"),
    "a long name": (b'{"' + b"n" * 100_000 + b'": 1}', "application/json"),
    "wrong types": (
        b'{"username": {"$ne": 1}, "password": [], "label": 5, "scope": [], "catId": {}, "timest": [1],'
        b' "dateType": {"a": 1}, "action": ["high"], "wait": {}, "refresh": [], "extra": "x"}',
        "application/json",
    ),
    "operators": (
        b'{"username": "$where", "password": "{$ne: 1}", "catId": "$ne", "timest": "$gt", "action": "$or"}',
        "application/json",
    ),
    "controls": (
        b'{"username": "a\\u0000b", "password": "\\u0000", "label": "\\u0000\\u0007", "catId": "\\u0000",'
        b' "timest": "2025\\u0000", "action": "high\\u0000", "product_id": "\\u0000"}',
        "application/json",
    ),
    "plain text": (b'{"username": "a"}', "text/plain"),
    "a form": (b"username=a&password=b", "application/x-www-form-urlencoded"),
    "XML": (b"<a/>", "application/xml"),
    "multipart": (b"--x\r\n\r\n--x--", "multipart/form-data; boundary=x"),
    "multipart without a boundary": (b"--x--", "multipart/form-data"),
    "no type": (b"{}", ""),
    "an odd type": (b"{}", "application/json/json; ;=\x7f"),
    "too large": (b'{"a": "' + b"x" * LARGEST_BYTES + b'"}', "application/json"),
}


class ShortReporter(ExceptionReporter):
    """Django's page about an error, which no answer may be, in a word: the long one takes 50 ms to write."""

    def get_traceback_html(self) -> str:
        return "<!doctype html><title>Traceback</title>"


@pytest.fixture(params=[False, True], ids=["debug off", "debug on"])
def _debug(request: pytest.FixtureRequest, settings: Any) -> None:
    settings.DEBUG = request.param
    settings.DEFAULT_EXCEPTION_REPORTER = f"{__name__}.{ShortReporter.__name__}"


@pytest.fixture
def clients(reader_token: str, admin_token: str) -> dict[str, APIClient]:
    """A client of each kind; a crash is an answer, as in the real server."""
    clients = {
        name: APIClient(raise_request_exception=False) for name in ("anonymous", "reader", "admin", "wrong")
    }
    clients["reader"].credentials(HTTP_AUTHORIZATION=f"Bearer {reader_token}")
    clients["admin"].credentials(HTTP_AUTHORIZATION=f"Bearer {admin_token}")
    clients["wrong"].credentials(HTTP_AUTHORIZATION="Bearer mlc_nobody-has-this-token")
    return clients


def ask(client: APIClient, method: str, path: str, *, who: str = "", **options: Any) -> Any:
    """Send one request and check what holds for every answer."""
    response = getattr(client, method)(path, **options)
    assert_contract(response, of=f"{who} {method.upper()} {path[:200]}")
    return response


def test_the_walk_finds_the_addresses() -> None:
    templates = {route.template for route in ROUTES}
    assert {
        "api/auth/login",
        "api/categories/<str:catId>",
        "api/mengla",
        "api/webhook/mengla-notify",
    } <= templates
    assert templates >= PAPERS
    assert len(ROUTES) == len(templates)


@pytest.mark.usefixtures("_debug")
@pytest.mark.parametrize("route", ROUTES, ids=str)
def test_every_method_of_every_address(route: Route, clients: dict[str, APIClient]) -> None:
    for who, client in clients.items():
        for method in METHODS:
            plain = ask(client, method, route.path(), who=who)
            slash = ask(client, method, f"{route.path()}/", who=who)
            assert plain.status_code < 500, (who, method)
            # What has been started once, or tried too often, is refused the second time.
            if not {plain.status_code, slash.status_code} & {409, 429}:
                assert plain.status_code == slash.status_code, (who, method)
    allowed = ask(clients["admin"], "options", route.path()).headers["Allow"]
    for method in METHODS[:5]:
        response = ask(clients["admin"], method, route.path())
        assert (response.status_code == 405) == (method.upper() not in allowed), method


@pytest.mark.usefixtures("_debug")
@pytest.mark.parametrize("path", UNKNOWN_PATHS, ids=lambda path: path[:40])
def test_unknown_addresses(path: str, clients: dict[str, APIClient]) -> None:
    for who, client in clients.items():
        for method in METHODS:
            response = ask(client, method, path, who=who)
            assert response.status_code == 404
            if method != "head":
                assert response.json()["error"] == ErrorCode.NOT_FOUND


@pytest.mark.parametrize("route", [route for route in ROUTES if route.has_parameters], ids=str)
def test_hostile_values_in_the_address(route: Route, clients: dict[str, APIClient]) -> None:
    for value in HOSTILE_VALUES:
        for method in METHODS:
            for who in ("anonymous", "admin"):
                response = ask(clients[who], method, route.path(value), who=who)
                assert response.status_code in (401, 404, 405) or method == "options", (method, value)


@pytest.mark.parametrize("route", ROUTES, ids=str)
def test_hostile_query_strings(route: Route, clients: dict[str, APIClient]) -> None:
    names = (
        "primaryCatId",
        "timest",
        "action",
        "dateType",
        "wait",
        "refresh",
        "extra",
        "cursor",
        "limit",
        "from",
    )
    methods = ("get", "post", "delete")
    for method in methods:
        path = f"{route.path()}?{'&'.join(f'{name}=%FF{name}' for name in names)}"
        assert ask(clients["admin"], method, path).status_code < 500
    for value in HOSTILE_VALUES:
        query = dict.fromkeys((*names, "format", "lang", "version", "collection", "token"), value)
        for method in methods:
            response = clients["admin"].generic(method.upper(), route.path(), QUERY_STRING=_encode(query))
            assert_contract(response, of=f"{method} {route} ?{value[:50]}")
            assert response.status_code < 500


@pytest.mark.usefixtures("_debug")
@pytest.mark.parametrize("route", ROUTES, ids=str)
def test_bodies_of_every_kind(route: Route, clients: dict[str, APIClient], settings: Any) -> None:
    settings.WEBHOOK_MAX_BYTES = LARGEST_BYTES
    admin = clients["admin"]
    allowed = ask(admin, "options", route.path()).headers["Allow"].split(", ")
    for kind, (body, content_type) in BODIES.items():
        for method in ("POST", "PUT", "PATCH", "DELETE", "GET"):
            # A method that is not allowed is refused before its body is parsed: a few kinds will do.
            if method not in allowed and kind not in ("cut off", "multipart", "too large"):
                continue
            response = admin.generic(method, route.path(), body, content_type=content_type)
            assert_contract(response, of=f"{method} {route} with {kind}")
            assert response.status_code < 500, (method, kind)


@pytest.mark.parametrize("route", ROUTES, ids=str)
def test_a_body_is_refused_when_it_is_broken_also_where_none_is_needed(
    route: Route, clients: dict[str, APIClient]
) -> None:
    admin = clients["admin"]
    allowed = ask(admin, "options", route.path()).headers["Allow"].split(", ")
    broken = {name: BODIES[name] for name in ("cut off", "not a number", "not UTF-8")}
    # The webhook reads the bytes its signature is of, whatever they are called.
    odd = {name: BODIES[name] for name in ("plain text", "a form", "XML", "multipart")}
    if route.template == "api/webhook/mengla-notify":
        odd = {}
    for method in {"POST", "PUT", "PATCH", "DELETE"} & set(allowed):
        for status, bodies in ((400, broken), (415, odd)):
            for kind, (body, content_type) in bodies.items():
                response = admin.generic(method, route.path(), body, content_type=content_type)
                assert_contract(response, of=f"{method} {route} with {kind}")
                # The webhook looks at the signature first.
                assert response.status_code in (status, 403), (method, kind)
                assert response.status_code != 403 or route.template == "api/webhook/mengla-notify"


@pytest.mark.parametrize("route", ROUTES, ids=str)
def test_odd_headers(route: Route, clients: dict[str, APIClient]) -> None:
    for headers in (
        {"HTTP_ACCEPT": "text/html"},
        {"HTTP_ACCEPT": "application/xml;q=nonsense"},
        {"HTTP_ACCEPT_LANGUAGE": "x" * 5000},
        {"HTTP_ACCEPT_ENCODING": "gzip;q=x, *;;;"},
        {"HTTP_IF_NONE_MATCH": 'W/"' + "x" * 5000},
        {"HTTP_RANGE": "bytes=0-1"},
        {"HTTP_X_FORWARDED_PROTO": "https"},
        {"HTTP_ORIGIN": "null"},
        {"HTTP_ORIGIN": "http://[broken"},
        {"HTTP_X_HTTP_METHOD_OVERRIDE": "DELETE"},
        {"CONTENT_LENGTH": "-5"},
        {"HTTP_COOKIE": "sessionid=\x80; csrftoken=x"},
        {"REMOTE_ADDR": "nonsense"},
    ):
        for method in METHODS:
            assert ask(clients["admin"], method, route.path(), **headers).status_code < 500, (method, headers)


@pytest.mark.parametrize(
    "authorization",
    [
        "Bearer",
        "Bearer ",
        "Bearer a b",
        "Bearer \x00",
        "Bearer " + "x" * 20_000,
        "Bearer eyJhbGciOiJub25lIn0.e30.",
        "Bearer eyJ.eyJ.eyJ",
        "Basic YWRtaW46YWRtaW4=",
        "bearer mlc_x",
        "Bearer \xe9\xff",
        ",,,",
    ],
)
def test_a_token_that_is_none(authorization: str, api: APIClient) -> None:
    for route in ROUTES:
        for method in ("get", "post", "delete"):
            response = ask(api, method, route.path(), HTTP_AUTHORIZATION=authorization)
            assert response.status_code < 500


@pytest.mark.usefixtures("_debug")
@pytest.mark.parametrize(
    "host", ["evil.example.com", "a b", "[::1", "127.0.0.1:port", "x" * 3000, "a_b", "\xe9"]
)
def test_a_host_that_is_not_ours(host: str, clients: dict[str, APIClient], settings: Any) -> None:
    # With DEBUG Django takes any host of the local machine; the tests' own host is not listed here.
    settings.ALLOWED_HOSTS = ["mengla.example.com"]
    for path in ("/api/auth/me", "/api/auth/login", "/api/categories", "/api/nothing", "/api/schema"):
        for method in METHODS:
            response = ask(clients["admin"], method, path, HTTP_HOST=host)
            assert response.status_code == 400
            if method != "head":
                assert response.json()["error"] == ErrorCode.VALIDATION_ERROR
                assert host not in response.content.decode()


def test_every_address_but_the_open_ones_wants_a_token(api: APIClient) -> None:
    is_open = {"api", "api/schema", "api/docs", "api/auth/login", "api/webhook/mengla-notify"}
    for route in ROUTES:
        for method in METHODS:
            status = getattr(api, method)(route.path()).status_code
            assert (status == 401) == (route.template not in is_open), (route, method, status)


def test_a_reader_is_no_admin(reader: APIClient) -> None:
    refused = {route.template for route in ROUTES if reader.options(route.path()).status_code == 403}
    assert {"api/auth/generate-token", "api/auth/tokens", "api/auth/tokens/<str:token_id>"} <= refused


def test_the_request_id_is_the_clients_if_it_is_sane(api: APIClient) -> None:
    for route in ROUTES:
        assert api.get(route.path(), HTTP_X_REQUEST_ID="my-id_1.2:3").headers["X-Request-ID"] == "my-id_1.2:3"
        odd = api.get(route.path(), HTTP_X_REQUEST_ID="two words").headers["X-Request-ID"]
        assert len(odd) == 32


def test_browsers_of_allowed_origins_may_read_errors_too(api: APIClient) -> None:
    for path in ("/api/auth/me", "/api/nothing", "/api/auth/login"):
        for method in METHODS:
            response = getattr(api, method)(path, HTTP_ORIGIN="http://localhost:5173")
            assert response.headers["Access-Control-Allow-Origin"] == "http://localhost:5173"
            exposed = response.headers["Access-Control-Expose-Headers"]
            assert "X-Request-ID" in exposed and "Content-Disposition" in exposed
            other = getattr(api, method)(path, HTTP_ORIGIN="https://evil.example.com")
            assert "Access-Control-Allow-Origin" not in other.headers


def _encode(query: dict[str, str]) -> str:
    from urllib.parse import urlencode

    return urlencode(query)
