"""Sends webhooks: the GET that probes an address, and the signed POST."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit

from apps.mengla.simulator.plan import Message
from apps.mengla.upstream.signature import SIMULATOR_HEADER, sign

SIGNATURE_HEADER = "X-Signature-256"
MAX_URL_CHARACTERS = 4096
MAX_RESPONSE_BYTES = 64 * 1024
MAX_IDLE_SECONDS = 2.0  # shorter than any server keeps an idle connection

_WRONG_SECRET = "not-the-secret-of-this-service"  # noqa: S105 - a wrong secret on purpose
_USER_AGENT = "mengla-collection-service-simulator"


class DeliveryError(Exception):
    """A webhook that was not acknowledged; ``permanent``: another attempt would fail, too.

    ``status`` is that of the response, None if there was none.
    """

    def __init__(self, message: str, *, permanent: bool = False, status: int | None = None) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.status = status


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """The 2xx response to a webhook."""

    status: int
    body: bytes

    @property
    def receipt(self) -> str | None:
        """What the receiver did with it, as its body says; None if it does not."""
        try:
            return str(json.loads(self.body)["data"]["status"])
        except (ValueError, LookupError, TypeError):
            return None


@dataclass(frozen=True, slots=True)
class Target:
    """A webhook address; ``path`` includes the query string."""

    is_https: bool
    host: str
    port: int | None
    path: str


def parse_target(url: object) -> Target:
    """Parse a webhook URL.

    :raises ValueError: when no request can be sent to it.
    """
    if not isinstance(url, str) or not 0 < len(url) <= MAX_URL_CHARACTERS:
        raise ValueError("webhookUrl must be a URL")
    # Spaces and control characters would get into the request line.
    if not all("!" <= character <= "~" for character in url):
        raise ValueError("webhookUrl must be printable ASCII without spaces")
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("webhookUrl must begin with http:// or https:// and name a host")
    path = parts.path or "/"
    if parts.query:
        path = f"{path}?{parts.query}"
    return Target(parts.scheme == "https", parts.hostname, parts.port, path)


class WebhookSender:
    """Sends requests to webhook addresses; :meth:`close` aborts those under way.

    Connections stay open for the next request to the same host, for a few seconds. Its methods raise
    :class:`DeliveryError` when the receiver does not acknowledge a request with 2xx.
    """

    def __init__(self, *, secret: str, timeout_seconds: float) -> None:
        self._secret = secret
        self._timeout_seconds = timeout_seconds
        self._lock = threading.Lock()
        self._used: set[_Connection] = set()
        self._idle: list[_Connection] = []  # the one used last is the last one
        self._is_closed = False

    def probe(self, target: Target) -> None:
        """Check with a GET that the address responds."""
        self._exchange(target, "GET", b"", {})

    def post(self, target: Target, message: Message, *, has_wrong_signature: bool) -> Acknowledgement:
        """Send one message; it is signed when there is a secret."""
        headers = {"Content-Type": message.content_type, "Content-Length": str(len(message.body))}
        if has_wrong_signature:
            headers[SIGNATURE_HEADER] = sign(message.body, self._secret + _WRONG_SECRET)
        elif self._secret:
            headers[SIGNATURE_HEADER] = sign(message.body, self._secret)
        return self._exchange(target, "POST", message.body, headers)

    def close(self) -> None:
        """Abort all requests under way, close all connections and refuse new ones."""
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
            used = list(self._used)
        for connection in used:
            connection.abort()
        for connection in idle:
            connection.close()

    def _exchange(
        self, target: Target, method: str, body: bytes, headers: Mapping[str, str]
    ) -> Acknowledgement:
        request = _request_bytes(target, method, body, headers)
        try:
            status, answer = self._answer_of(target, method, request)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise DeliveryError(f"{method}: {type(error).__name__}: {error}") from error
        if not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            is_refusal = status < HTTPStatus.INTERNAL_SERVER_ERROR and status != HTTPStatus.TOO_MANY_REQUESTS
            raise DeliveryError(f"{method}: status {status}", permanent=is_refusal, status=status)
        return Acknowledgement(status, answer)

    def _answer_of(self, target: Target, method: str, request: bytes) -> tuple[int, bytes]:
        while (connection := self._take_idle(target)) is not None:
            # The receiver may just have closed it, before it saw the request: then another one is used.
            with contextlib.suppress(ConnectionError):
                return self._send(connection, method, request)
        connection = _Connection(target, timeout_seconds=self._timeout_seconds)
        self._note_used(connection)
        return self._send(connection, method, request)

    def _send(self, connection: _Connection, method: str, request: bytes) -> tuple[int, bytes]:
        is_kept = False
        try:
            answer = connection.send(method, request)
            is_kept = connection.may_be_kept
            return answer
        finally:
            with self._lock:
                self._used.discard(connection)
                is_kept = is_kept and not self._is_closed
                if is_kept:
                    self._idle.append(connection)
            if not is_kept:
                connection.close()

    def _take_idle(self, target: Target) -> _Connection | None:
        """Return an idle connection to the target's host, as one that is used; close those that are old."""
        oldest = time.monotonic() - MAX_IDLE_SECONDS
        with self._lock:
            old = [each for each in self._idle if each.used_at < oldest]
            self._idle = [each for each in self._idle if each.used_at >= oldest]
            found = next((each for each in reversed(self._idle) if each.is_to(target)), None)
            if found is not None:
                self._idle.remove(found)
                self._used.add(found)
        for connection in old:
            connection.close()
        return found

    def _note_used(self, connection: _Connection) -> None:
        with self._lock:
            if not self._is_closed:
                self._used.add(connection)
                return
        connection.close()
        raise DeliveryError("the simulator has stopped", permanent=True)


class _Connection:
    """An open connection to the host of a target; ``used_at`` is when its last response came (monotonic)."""

    def __init__(self, target: Target, *, timeout_seconds: float) -> None:
        """Connect.

        :raises OSError: when the host does not answer.
        """
        kind = http.client.HTTPSConnection if target.is_https else http.client.HTTPConnection
        self._http = kind(target.host, target.port, timeout=timeout_seconds)
        self._http.connect()
        self._host = (target.is_https, target.host, target.port)
        self.used_at = time.monotonic()
        self.may_be_kept = False

    def is_to(self, target: Target) -> bool:
        """Whether it leads to the host of this target."""
        return self._host == (target.is_https, target.host, target.port)

    def send(self, method: str, request: bytes) -> tuple[int, bytes]:
        """Send the bytes of a request; returns the status and the body of the response.

        :raises OSError: or ``http.client.HTTPException``, when no valid response comes.
        """
        # In one piece: a receiver that has the headers would wait for the body with a thread of its own.
        self._http.sock.sendall(request)
        with http.client.HTTPResponse(self._http.sock, method=method) as response:
            response.begin()
            body = response.read(MAX_RESPONSE_BYTES)
            self.may_be_kept = not response.will_close and len(body) < MAX_RESPONSE_BYTES
        self.used_at = time.monotonic()
        return response.status, body

    def abort(self) -> None:
        """Make the request under way fail, in whatever thread it is."""
        with contextlib.suppress(OSError):
            self._http.sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection."""
        self._http.close()


def _request_bytes(target: Target, method: str, body: bytes, headers: Mapping[str, str]) -> bytes:
    host = f"[{target.host}]" if ":" in target.host else target.host
    lines = {
        "Host": host if target.port is None else f"{host}:{target.port}",
        "Accept-Encoding": "identity",
        "User-Agent": _USER_AGENT,
        SIMULATOR_HEADER: "1",
        **headers,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{method} {target.path} HTTP/1.1\r\n{head}\r\n".encode("ascii") + body
