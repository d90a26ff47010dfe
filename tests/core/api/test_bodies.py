"""Bodies of requests: how much is read of them, when, by how many threads, and what is not whole."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import pytest
from django.http import HttpRequest
from django.test import Client, RequestFactory

from apps.core import errors
from apps.core.api.bodies import guard_body, read_body
from apps.core.web_threads import Places, body_places, threads_that_may_wait

LOGIN = "/api/auth/login"
JSON = "application/json"


class Silent(io.BytesIO):
    """A client that sends nothing: reading from it would block for ever."""

    def read(self, *_size: Any) -> bytes:
        raise AssertionError("the body was read")


def guarded(body: bytes, **extra: Any) -> HttpRequest:
    request = RequestFactory().generic("POST", "/", body, **extra)
    guard_body(request)
    return request


def chunked(body: bytes) -> HttpRequest:
    return guarded(
        b"", HTTP_TRANSFER_ENCODING="gzip, Chunked", CONTENT_LENGTH="", **{"wsgi.input": io.BytesIO(body)}
    )


def post(client: Client, path: str, **extra: Any) -> Any:
    return client.generic("POST", path, b"", **{"CONTENT_TYPE": JSON} | extra)


# --- How much -------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"", b"1", b"12345"])
def test_a_body_up_to_the_limit_is_read_however_it_is_sent(body: bytes) -> None:
    assert read_body(guarded(body), limit_bytes=5) == body
    assert read_body(chunked(body), limit_bytes=5) == body


def test_a_longer_one_is_refused_however_it_is_sent() -> None:
    for bad in (guarded(b"123456"), chunked(b"123456")):
        with pytest.raises(errors.PayloadTooLarge):
            read_body(bad, limit_bytes=5)


@pytest.mark.parametrize("path", [LOGIN, "/api/webhook/mengla-notify", "/admin/login/"])
def test_a_body_that_announces_too_much_is_refused_before_it_is_read(client: Client, path: str) -> None:
    answer = post(client, path, CONTENT_LENGTH="99999999999", **{"wsgi.input": Silent()})
    assert answer.status_code == 413


@pytest.mark.parametrize(
    "header", [{"CONTENT_LENGTH": "10"}, {"CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked"}]
)
def test_a_stranger_is_refused_before_the_body_is_read(client: Client, header: dict[str, str]) -> None:
    answer = post(client, "/api/auth/generate-token", **header, **{"wsgi.input": Silent()})
    assert answer.status_code == 401


# --- Whole ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [LOGIN, "/api/webhook/mengla-notify", "/admin/login/"])
def test_a_body_that_ends_too_early_is_not_taken_for_whole(client: Client, path: str) -> None:
    body = b'{"username": "ana", "password": "x"}'
    answer = post(client, path, CONTENT_LENGTH=str(len(body) + 1), **{"wsgi.input": io.BytesIO(body)})
    assert answer.status_code == 400
    assert "ended before its announced length" in answer.content.decode()


def test_a_form_in_chunks_is_read(client: Client) -> None:
    body = b"username=ana"
    answer = post(
        client,
        "/admin/login/",
        CONTENT_TYPE="application/x-www-form-urlencoded",
        CONTENT_LENGTH="",
        HTTP_TRANSFER_ENCODING="chunked",
        **{"wsgi.input": io.BytesIO(body)},
    )
    assert answer.status_code == 200
    assert 'value="ana"' in answer.content.decode()


# --- How many at once -----------------------------------------------------------------------------


@contextlib.contextmanager
def taken(places: Places, count: int) -> Iterator[None]:
    with contextlib.ExitStack() as held:
        for _ in range(count):
            assert held.enter_context(places.claim())
        yield


@pytest.mark.parametrize("threads", [2, 3, 4, 16])
def test_half_of_the_threads_may_wait_for_bodies(client: Client, settings: Any, threads: int) -> None:
    settings.WEB_THREADS = threads
    with taken(body_places(), max(1, threads // 2)):
        for path in (LOGIN, "/api/webhook/mengla-notify"):
            answer = post(client, path, CONTENT_LENGTH="10", **{"wsgi.input": Silent()})
            assert (answer.status_code, json.loads(answer.content)["error"]) == (429, "RATE_LIMITED")
            assert int(answer.headers["Retry-After"]) > 0
        form = post(client, "/admin/login/", CONTENT_LENGTH="10", **{"wsgi.input": Silent()})
        assert (form.status_code, form.headers["Retry-After"]) == (429, "2")
        assert client.get("/health").status_code == 200
    assert client.post(LOGIN, {}, content_type=JSON).status_code == 400


def test_a_place_that_becomes_free_soon_is_taken() -> None:
    places = Places(1, patience_seconds=20)

    def claim() -> bool:
        with places.claim() as has_place:
            return has_place

    with ThreadPoolExecutor(1) as pool:
        with places.claim() as has_place:
            assert has_place
            second = pool.submit(claim)
            assert not wait([second], timeout=0.05).done
        assert second.result(timeout=20)


@pytest.mark.parametrize("threads", [2, 3, 4, 16])
def test_all_that_wait_leave_a_thread_free_together(settings: Any, threads: int) -> None:
    settings.WEB_THREADS = threads
    assert 1 <= threads_that_may_wait() < threads
    with taken(Places(threads), threads_that_may_wait()), Places(threads).claim() as has_place:
        assert not has_place
    with Places(threads).claim() as has_place:
        assert has_place
