"""Requests whose headers Django alone would fail on, before any middleware."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from apps.core.web.handler import Handler

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "charset", ["hex", "base64", "rot13", "zlib", "undefined", "no-such", "utf-8", "gbk"]
)
def test_a_charset_that_decodes_no_text_is_ignored(charset: str) -> None:
    statuses: list[str] = []

    def start_response(status: str, _headers: Any, _error: Any = None) -> None:
        statuses.append(status)

    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/api/no-such-path",
        "QUERY_STRING": "action=hot",
        "CONTENT_TYPE": f"text/plain; charset={charset}",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
    }
    body = b"".join(Handler()(environ, start_response))
    assert statuses == ["404 Not Found"]
    assert json.loads(body)["success"] is False
