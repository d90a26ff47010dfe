"""Reads the requests of one HTTP connection, with a limit on bodies, and writes JSON; never a traceback."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any

from apps.mengla.upstream.signature import SIMULATOR_HEADER

logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 1024 * 1024
MAX_DRAINED_BYTES = 16 * MAX_BODY_BYTES

_CHUNK_BYTES = 65536
_MAX_LENGTH_DIGITS = 18


class Refusal(Exception):
    """An error response; raising it ends the request."""

    def __init__(
        self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = headers or {}


class NoResponse(Exception):
    """Closes the connection without a response."""


class JsonHandler(BaseHTTPRequestHandler):
    """One connection; its responses are JSON and carry the simulator's header."""

    protocol_version = "HTTP/1.1"
    server_version = "MengLaSimulator"
    sys_version = ""
    timeout = 30.0  # also how long an idle connection is kept
    # Buffered, so that a response is sent in one packet, and after its request has been counted as ended.
    wbufsize = -1
    disable_nagle_algorithm = True
    json_prefix = b""  # sent before the JSON of a response

    def respond(self) -> None:
        """Process one request and send its response; subclasses implement it."""
        raise NotImplementedError

    def _handle(self) -> None:
        try:
            self.respond()
        except Refusal as refusal:
            self.send_refusal(refusal.status, refusal.code, str(refusal), refusal.headers)
        except NoResponse:
            self.close_connection = True
        except (ConnectionError, TimeoutError):
            raise
        except Exception:
            logger.exception("%s %s failed", self.command, self.path[:200])
            self.close_connection = True
            self.send_refusal(500, "SIMULATOR_ERROR", "the simulator failed; see its log", {})

    do_GET = do_POST = do_HEAD = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _handle

    def check_method(self, *allowed: str) -> None:
        """Check the method of the request.

        :raises Refusal: with 405 when it is not one of the allowed ones.
        """
        if self.command not in allowed:
            allow = ", ".join(allowed)
            raise Refusal(405, "METHOD_NOT_ALLOWED", f"use {allow}", {"Allow": allow})

    def read_body(self) -> bytes:
        """Return the whole body of the request.

        It must be read before a response is sent: a connection that is closed with unread bytes may lose
        the response.

        :raises Refusal: for a body without a valid length, or a body that is too large.
        :raises NoResponse: when the client closes the connection before the body is complete.
        """
        if "Transfer-Encoding" in self.headers:
            self.close_connection = True
            raise Refusal(411, "LENGTH_REQUIRED", "Content-Length is required")
        text = self.headers.get("Content-Length", "0")
        if not (text.isascii() and text.isdigit() and len(text) <= _MAX_LENGTH_DIGITS):
            self.close_connection = True
            raise Refusal(400, "BAD_REQUEST", "Content-Length must be a number")
        length = int(text)
        if length > MAX_BODY_BYTES:
            self.close_connection = True
            left = min(length, MAX_DRAINED_BYTES)
            while left > 0 and (chunk := self.rfile.read(min(left, _CHUNK_BYTES))):
                left -= len(chunk)
            raise Refusal(413, "BODY_TOO_LARGE", f"a body may have at most {MAX_BODY_BYTES} bytes")
        body = self.rfile.read(length)
        if len(body) < length:
            raise NoResponse
        return body

    def send_json(self, body: Mapping[str, Any]) -> None:
        """Send 200 with a JSON object."""
        self._send(200, self.json_prefix + _dump(body), "application/json", {})

    def send_text(self, text: str) -> None:
        """Send 200 with plain text."""
        self._send(200, text.encode(), "text/plain; charset=utf-8", {})

    def send_refusal(self, status: int, code: str, message: str, headers: Mapping[str, str]) -> None:
        """Send an error as JSON."""
        body = self.json_prefix + _dump({"error": code, "message": message, "simulated": True})
        self._send(status, body, "application/json", headers)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Send JSON, like every other error, for a request that the base class could not read."""
        self.close_connection = True
        with contextlib.suppress(ValueError):
            message = message or HTTPStatus(code).phrase
        self.send_refusal(code, "BAD_REQUEST", message or explain or "", {})

    def log_message(self, format: str, *args: Any) -> None:
        """Log requests at debug level; the base class writes them to stderr."""
        logger.debug(format, *args)

    def _send(self, status: int, body: bytes, content_type: str, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header(SIMULATOR_HEADER, "1")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def parse_json(body: bytes) -> Any:
    """Return the JSON value of a body.

    :raises ValueError: for invalid JSON, NaN, invalid Unicode, or nesting that is too deep.
    """
    try:
        value = json.loads(body)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError) as error:
        raise ValueError("the body is not JSON") from error
    return value


def _dump(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode("utf-8", "backslashreplace")
