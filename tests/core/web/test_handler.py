"""Requests whose headers Django alone would fail on, before any middleware."""

from __future__ import annotations

import gc
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.template import RequestContext
from rest_framework.response import Response

from apps.core.web.handler import Handler

pytestmark = pytest.mark.django_db


def responses() -> list[Any]:
    """What is in memory of responses and of what they are rendered with."""
    return [one for one in gc.get_objects() if issubclass(type(one), RequestContext | Response)]


@pytest.fixture
def of_others() -> Iterator[list[Any]]:
    """What other tests have left; the collector runs no more."""
    gc.collect()
    gc.disable()
    yield responses()
    gc.enable()


def call(path: str, **headers: str) -> tuple[str, bytes]:
    """Send a GET to the application as a server does; returns the status line and the body."""
    statuses: list[str] = []

    def start_response(status: str, _headers: Any, _error: Any = None) -> None:
        statuses.append(status)

    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": path,
        "QUERY_STRING": "action=hot",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
        **headers,
    }
    body = b"".join(Handler()(environ, start_response))
    return statuses[0], body


@pytest.mark.parametrize(
    "charset", ["hex", "base64", "rot13", "zlib", "undefined", "no-such", "utf-8", "gbk"]
)
def test_a_charset_that_decodes_no_text_is_ignored(charset: str) -> None:
    status, body = call("/api/no-such-path", CONTENT_TYPE=f"text/plain; charset={charset}")
    assert status == "404 Not Found"
    assert json.loads(body)["success"] is False


@pytest.mark.parametrize(
    ("path", "status"), [("/admin/login/", "200 OK"), ("/api/mengla/records", "401 Unauthorized")]
)
def test_what_a_response_was_made_of_goes_with_it(path: str, status: str, of_others: list[Any]) -> None:
    assert call(path)[0] == status
    assert [one for one in responses() if not any(one is other for other in of_others)] == []
