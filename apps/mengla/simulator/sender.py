"""Sends webhooks: the GET that probes an address, and the signed POST."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit

from apps.mengla.simulator.plan import Message
from apps.mengla.upstream.signature import SIMULATOR_HEADER, sign

SIGNATURE_HEADER = "X-Signature-256"
MAX_URL_CHARACTERS = 4096
MAX_RESPONSE_BYTES = 64 * 1024

_WRONG_SECRET = "not-the-secret-of-this-service"  # noqa: S105 - a wrong secret on purpose
_USER_AGENT = "mengla-collection-service-simulator"


class DeliveryError(Exception):
    """A webhook that was not acknowledged; ``permanent``: another attempt would fail, too."""

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent


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

    Its methods raise :class:`DeliveryError` when the receiver does not acknowledge a request with 2xx.
    """

    def __init__(self, *, secret: str, timeout_seconds: float) -> None:
        self._secret = secret
        self._timeout_seconds = timeout_seconds
        self._lock = threading.Lock()
        self._connections: set[http.client.HTTPConnection] = set()
        self._is_closed = False

    def probe(self, target: Target) -> None:
        """Check with a GET that the address responds."""
        self._exchange(target, "GET", None, {})

    def post(self, target: Target, message: Message, *, has_wrong_signature: bool) -> None:
        """Send one message; it is signed when there is a secret."""
        headers = {"Content-Type": message.content_type}
        if has_wrong_signature:
            headers[SIGNATURE_HEADER] = sign(message.body, self._secret + _WRONG_SECRET)
        elif self._secret:
            headers[SIGNATURE_HEADER] = sign(message.body, self._secret)
        self._exchange(target, "POST", message.body, headers)

    def close(self) -> None:
        """Abort all requests under way and refuse new ones."""
        with self._lock:
            self._is_closed = True
            sockets = [connection.sock for connection in self._connections]
        for each in sockets:
            if each is not None:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def _exchange(self, target: Target, method: str, body: bytes | None, headers: Mapping[str, str]) -> None:
        kind = http.client.HTTPSConnection if target.is_https else http.client.HTTPConnection
        connection = kind(target.host, target.port, timeout=self._timeout_seconds)
        try:
            connection.connect()
            with self._lock:
                if self._is_closed:
                    raise DeliveryError("the simulator has stopped", permanent=True)
                self._connections.add(connection)
            connection.request(
                method,
                target.path,
                body=body,
                headers={**headers, SIMULATOR_HEADER: "1", "User-Agent": _USER_AGENT, "Connection": "close"},
            )
            with connection.getresponse() as response:
                status = response.status
                response.read(MAX_RESPONSE_BYTES)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise DeliveryError(f"{method}: {type(error).__name__}: {error}") from error
        finally:
            with self._lock:
                self._connections.discard(connection)
            connection.close()
        if not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            is_refusal = status < HTTPStatus.INTERNAL_SERVER_ERROR and status != HTTPStatus.TOO_MANY_REQUESTS
            raise DeliveryError(f"{method}: status {status}", permanent=is_refusal)
