"""A collection service with preset answers, for those that no simulator should give."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TASK_NAME = "萌啦数据采集"


@dataclass(frozen=True)
class Reply:
    """One answer; ``body`` is sent as JSON unless it is bytes, None closes the connection instead."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Asked:
    """One request that came."""

    method: str
    path: str
    headers: Mapping[str, str]
    json: Any


def tasks(*names: str, **more: Any) -> Reply:
    """A page of managed tasks; the id of each is its place. ``more`` is beside them, such as a total."""
    listed = [{"id": f"t{index}", "name": name} for index, name in enumerate(names)]
    return Reply({"data": {"tasks": listed, **more}})


def accepted(execution_id: Any = "x1") -> Reply:
    """An execution was started."""
    return Reply({"data": {"executionId": execution_id}})


class StubService:
    """Gives the replies in order, the last one again and again."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self._replies: list[Reply] = [Reply({}, 500)]
        stub = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                raw = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                stub.asked.append(
                    Asked(self.command, self.path, dict(self.headers), json.loads(raw) if raw else None)
                )
                reply = stub._replies.pop(0) if len(stub._replies) > 1 else stub._replies[0]
                self.close_connection = True
                if reply.body is None:
                    return
                body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = _answer

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def say(self, *replies: Reply) -> None:
        """Set what is answered from now on."""
        self._replies = list(replies)

    @property
    def posts(self) -> list[Asked]:
        """The execute requests that came."""
        return [one for one in self.asked if one.method == "POST"]

    def stop(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
