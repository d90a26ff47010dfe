"""Request ids, the envelope for what DRF never sees, and the two spellings of an address."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
import structlog
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.test import RequestFactory
from rest_framework.test import APIClient

from apps.core.api.envelope import is_api_path
from apps.core.web.middleware import (
    ApiMiddleware,
    EnvelopeMiddleware,
    RequestIdMiddleware,
    TrailingSlashMiddleware,
)
from tests.conftest import bearer_client
from tests.contract.routes import UNKNOWN_PATHS, api_routes

requests = RequestFactory()


def answering(response: HttpResponse) -> Callable[[HttpRequest], HttpResponse]:
    return lambda _request: response


def page(status: int = 200, **headers: str) -> HttpResponse:
    return HttpResponse("<h1>A page</h1>", status=status, headers=headers)


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/x", "/api//"])
def test_what_belongs_to_the_api(path: str) -> None:
    assert is_api_path(path)


@pytest.mark.parametrize("path", ["", "/", "/apis", "/api-docs", "/admin/api/", "/API/x", "api/x", "//api/x"])
def test_what_does_not(path: str) -> None:
    assert not is_api_path(path)


# --- Request ids ----------------------------------------------------------------------------------


@pytest.mark.parametrize("sent", ["a", "A-z_0.9:x", "x" * 128])
def test_a_sane_id_is_kept(sent: str) -> None:
    request = requests.get("/", headers={"X-Request-ID": sent})
    assert RequestIdMiddleware(answering(page()))(request).headers["X-Request-ID"] == sent


@pytest.mark.parametrize(
    "sent", ["", " ", "a b", "x" * 129, "a\nb", "a\r\nSet-Cookie: x", "ид", "<script>", "a;b", "a/b", "\x00"]
)
def test_any_other_is_replaced(sent: str) -> None:
    request = requests.get("/", HTTP_X_REQUEST_ID=sent)
    given = RequestIdMiddleware(answering(page()))(request).headers["X-Request-ID"]
    assert given != sent
    assert len(given) == 32
    assert given.isalnum()


def test_without_one_each_request_gets_its_own() -> None:
    middleware = RequestIdMiddleware(answering(page()))
    ids = {middleware(requests.get("/")).headers["X-Request-ID"] for _ in range(50)}
    assert len(ids) == 50


def test_the_request_and_the_log_know_it_until_the_answer() -> None:
    seen: list[Any] = []

    def view(request: HttpRequest) -> HttpResponse:
        seen.append((request.request_id, structlog.contextvars.get_contextvars()))  # type: ignore[attr-defined]
        return page()

    structlog.contextvars.bind_contextvars(left="over")
    RequestIdMiddleware(view)(requests.get("/", headers={"X-Request-ID": "mine"}))
    assert seen == [("mine", {"request_id": "mine"})]
    assert structlog.contextvars.get_contextvars() == {}


def test_a_crash_leaves_nothing_in_the_log_context() -> None:
    def crash(_request: HttpRequest) -> HttpResponse:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        RequestIdMiddleware(crash)(requests.get("/"))
    assert structlog.contextvars.get_contextvars() == {}


# --- The envelope ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code", "answered"),
    [
        (400, "VALIDATION_ERROR", 400),
        (401, "UNAUTHENTICATED", 401),
        (403, "PERMISSION_DENIED", 403),
        (404, "NOT_FOUND", 404),
        (405, "METHOD_NOT_ALLOWED", 405),
        (413, "PAYLOAD_TOO_LARGE", 413),
        (415, "UNSUPPORTED_MEDIA_TYPE", 415),
        (418, "VALIDATION_ERROR", 400),
        (429, "RATE_LIMITED", 429),
        (500, "INTERNAL_ERROR", 500),
        (502, "INTERNAL_ERROR", 500),
        (599, "INTERNAL_ERROR", 500),
    ],
)
def test_an_error_page_becomes_an_envelope(status: int, code: str, answered: int) -> None:
    response = EnvelopeMiddleware(answering(page(status)))(requests.get("/api/x"))
    assert isinstance(response, HttpResponse)
    body = json.loads(response.content)
    assert (response.status_code, body["error"], body["success"]) == (answered, code, False)
    assert response.headers["Content-Type"] == "application/json"
    assert "page" not in response.content.decode()


def test_a_crash_names_the_request() -> None:
    middleware = RequestIdMiddleware(EnvelopeMiddleware(answering(page(500))))
    response = middleware(requests.get("/api/x", headers={"X-Request-ID": "find-me"}))
    assert isinstance(response, HttpResponse)
    assert json.loads(response.content)["detail"] == "request_id=find-me"


def test_the_headers_a_client_needs_are_kept() -> None:
    not_allowed = HttpResponseNotAllowed(["GET", "PUT"], headers={"X-Powered-By": "secret sauce"})
    response = EnvelopeMiddleware(answering(not_allowed))(requests.post("/api/x"))
    assert response.headers["Allow"] == "GET, PUT"
    assert "X-Powered-By" not in response.headers
    limited = EnvelopeMiddleware(answering(page(429, **{"Retry-After": "7"})))(requests.get("/api/x"))
    assert limited.headers["Retry-After"] == "7"


@pytest.mark.parametrize("status", [200, 202, 301, 304])
def test_what_is_no_error_passes(status: int) -> None:
    response = page(status)
    assert EnvelopeMiddleware(answering(response))(requests.get("/api/x")) is response


def test_json_errors_and_other_addresses_pass() -> None:
    json_error = HttpResponse(b"{}", status=404, content_type="application/json")
    assert EnvelopeMiddleware(answering(json_error))(requests.get("/api/x")) is json_error
    elsewhere = page(404)
    assert EnvelopeMiddleware(answering(elsewhere))(requests.get("/admin/x")) is elsewhere


# --- Slashes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "looked_up"),
    [
        ("/api/x/", "/api/x"),
        ("/api/x", "/api/x"),
        ("/api/x//", "/api/x/"),
        ("/api/", "/api"),
        ("/api", "/api"),
        ("/admin/", "/admin/"),
        ("/apis/", "/apis/"),
        ("/", "/"),
    ],
)
def test_one_slash_at_the_end_of_an_api_address_is_dropped(path: str, looked_up: str) -> None:
    request = requests.get("/")
    request.path_info = path
    TrailingSlashMiddleware(answering(page()))(request)
    assert request.path_info == looked_up


def test_no_redirect_is_needed(client: Any) -> None:
    for path in ("/api/auth/me", "/api/auth/me/"):
        assert client.get(path).status_code == 401
        assert client.post(path, b"{}", content_type="application/json").status_code == 401


def test_json_sent_in_chunks_is_read(api: APIClient) -> None:
    body = b'{"username": "x"}'
    answer = api.generic(
        "POST",
        "/api/auth/login",
        body,
        content_type="application/json",
        **{"HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": "", "wsgi.input": io.BytesIO(body)},
    )
    assert list(answer.json()["fields"]) == ["password"]  # the user name was there


@pytest.mark.django_db
@pytest.mark.mongo
@pytest.mark.redis
def test_each_request_is_one_line_in_the_log(
    api: APIClient, reader_token: str, written_log: Callable[[], list[dict[str, Any]]]
) -> None:
    refused = api.get("/api/auth/me/", {"token": reader_token}, HTTP_X_REQUEST_ID="mine")
    api.get(f"/api/nothing/{reader_token}")
    api.head("/api/nothing")
    style = api.get("/static/collector/admin.css")
    style.close()
    api.get("/health")
    lines = [line for line in written_log() if line["logger"] == "collector.access"]
    assert [(line["method"], line["path"], line["status"]) for line in lines] == [
        ("GET", "/api/auth/me/", 401),
        ("GET", "/api/nothing/mlc_***", 404),
        ("HEAD", "/api/nothing", 404),
        ("GET", "/static/collector/admin.css", 200),
    ]
    assert lines[0]["bytes"] == len(refused.content) > 0
    assert (lines[2]["bytes"], lines[3]["bytes"]) == (0, int(style.headers["Content-Length"]))
    assert lines[0]["request_id"] == "mine"
    assert lines[0]["milliseconds"] >= 0
    assert reader_token not in str(lines)


def test_browsers_may_send_what_our_answers_are_asked_with(api: APIClient) -> None:
    wanted = {"if-match", "if-none-match", "x-request-id", "authorization", "content-type"}
    answer = api.options(
        "/api/mengla/",
        HTTP_ORIGIN="http://localhost:5173",
        HTTP_ACCESS_CONTROL_REQUEST_METHOD="GET",
        HTTP_ACCESS_CONTROL_REQUEST_HEADERS=", ".join(sorted(wanted)),
    )
    assert wanted <= set(answer.headers["Access-Control-Allow-Headers"].split(", "))


# --- The short way of the API ---------------------------------------------------------------------


def asked(client: APIClient) -> dict[tuple[str, str], tuple[int, dict[str, str]]]:
    """The status and the headers of answers of all kinds."""
    headers = {
        "HTTP_X_REQUEST_ID": "same",
        "HTTP_ORIGIN": "https://other.example",
        "HTTP_ACCEPT_LANGUAGE": "zh-hans",
    }
    addresses = [(one.path(), "testserver") for one in api_routes()]
    addresses += [(path, "testserver") for path in UNKNOWN_PATHS] + [("/api/auth/me", "wrong.example")]
    found = {}
    for path, host in addresses:
        for method in ("get", "head", "options"):
            answer = getattr(client, method)(path, HTTP_HOST=host, **headers)
            sent = dict(answer.headers)
            for name in {"Age", "Content-Length"} & set(sent):  # the time passes, and some bodies tell it
                sent[name] = "present"
            found[(method, path + host)] = (answer.status_code, sent)
    return found


@pytest.mark.django_db
@pytest.mark.mongo
@pytest.mark.redis
def test_an_answer_of_the_api_is_the_one_of_the_whole_way(admin_token: str, monkeypatch: Any) -> None:
    short = asked(bearer_client(admin_token))
    with monkeypatch.context() as patch:
        patch.setattr(ApiMiddleware, "__call__", lambda self, request: self._get_page(request))
        whole = asked(bearer_client(admin_token))
    assert {key: (short[key], whole[key]) for key in whole if short[key] != whole[key]} == {}
    assert {status for status, _ in whole.values()} >= {200, 400, 404}


@pytest.mark.parametrize(
    ("path", "is_short"),
    [
        ("/api/auth/me", True),
        ("/api/auth/me/", True),
        ("/api", True),
        ("/api/docs", False),
        ("/api/docs/", False),
    ],
)
def test_the_api_passes_no_middleware_sents(api: APIClient, path: str, is_short: bool) -> None:
    request = api.get(path).wsgi_request
    assert hasattr(request, "session") is not is_short
    assert hasattr(request, "_messages") is not is_short
