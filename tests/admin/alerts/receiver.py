"""A receiver of alerts: a real HTTP server that keeps what it is sent and answers as it is told."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@dataclass(frozen=True)
class Received:
    """One POST."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        data: dict[str, Any] = json.loads(self.body)
        return data

    @property
    def fact(self) -> tuple[str, str]:
        return self.json["rule"], self.json["status"]


class Receiver:
    """Listens on a port of its own while the context lasts."""

    def __init__(self) -> None:
        self.status = 204
        self.refused: dict[str, int] = {}  # statuses for the notices of single rules
        self.received: list[Received] = []
        self.is_dripping = False
        self._is_over = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                received = Received(self.path, dict(self.headers), body)
                receiver.received.append(received)
                if receiver.is_dripping:
                    receiver.drip(self)
                    return
                rule = received.json["rule"] if receiver.refused else ""
                self.send_response(receiver.refused.get(rule, receiver.status))
                if receiver.status in (301, 302, 307):
                    self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}/hook/s3cret-path"

    def drip(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer a byte now and then, for ever."""
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while not self._is_over.wait(0.05):
            handler.wfile.write(b"x")
            handler.wfile.flush()

    @property
    def facts(self) -> list[tuple[str, str]]:
        return [one.fact for one in self.received]

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._server.shutdown()
        self._server.server_close()
