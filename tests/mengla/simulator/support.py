"""A webhook receiver and a caller for the simulator's tests: real HTTP on loopback."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

from apps.mengla.simulator.server import Simulator
from tests.http import NO_CERTIFICATES

SECRET = "hook-secret-für-tests"
TASK_ID = "sim-mengla-collect"
JUNE = {"timest": "2025-06", "starRange": "2025-06-01", "endRange": "2025-06-30"}
TREND = {"module": "industryTrendRange", "timest": "2025-06", "starRange": "2025-01", "endRange": "2025-06"}


@dataclass(frozen=True)
class Call:
    """One request the receiver got."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    at_seconds: float

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Receiver:
    """A webhook endpoint that remembers every call; ``answer`` decides the status of each.

    ``keeps_connections``: it leaves its connections open, and closes one without a response for status 0.
    ``addresses`` are those of the callers, one for each call.
    """

    def __init__(self, *, keeps_connections: bool = False) -> None:
        self.answer: Callable[[Call], int] = lambda _call: 200
        self.addresses: list[Any] = []
        self._calls: list[Call] = []
        self._changed = threading.Condition()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1" if keeps_connections else "HTTP/1.0"

            def _record(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                call = Call(
                    self.command,
                    self.path,
                    {name.lower(): value for name, value in self.headers.items()},
                    body,
                    time.monotonic(),
                )
                with receiver._changed:
                    receiver._calls.append(call)
                    receiver.addresses.append(self.client_address)
                    receiver._changed.notify_all()
                status = receiver.answer(call)
                if not status:
                    self.close_connection = True
                    return
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = do_POST = _record

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True  # of a connection that is left open
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/hook?collection=c1&attempt=t1"

    @property
    def calls(self) -> list[Call]:
        with self._changed:
            return list(self._calls)

    @property
    def posts(self) -> list[Call]:
        return [call for call in self.calls if call.method == "POST"]

    def wait_for_posts(self, count: int, timeout_seconds: float = 10.0) -> list[Call]:
        with self._changed:
            arrived = self._changed.wait_for(
                lambda: sum(call.method == "POST" for call in self._calls) >= count, timeout_seconds
            )
        assert arrived, f"{len(self.posts)} of {count} webhooks came"
        return self.posts

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Asker:
    """Asks one simulator questions whose answers go to one receiver."""

    def __init__(self, simulator: Simulator, receiver: Receiver) -> None:
        self.simulator = simulator
        self.receiver = receiver
        self.http = httpx.Client(
            base_url=simulator.url,
            timeout=10,
            headers={"Authorization": "Bearer key"},
            verify=NO_CERTIFICATES,
        )

    def close(self) -> None:
        self.http.close()

    def parameters(self, **changes: Any) -> dict[str, Any]:
        usual = {"module": "hot", "product_id": "", "catId": "17027494", "dateType": "MONTH", **JUNE}
        return {**usual, **changes}

    def post(self, *, sim: dict[str, Any] | None = None, **changes: Any) -> httpx.Response:
        parameters = self.parameters(**changes)
        if sim is not None:
            parameters["_sim"] = sim
        return self.http.post(
            f"/api/managed-tasks/{TASK_ID}/execute",
            json={"parameters": parameters, "webhookUrl": self.receiver.url},
        )

    def execute(self, *, sim: dict[str, Any] | None = None, **changes: Any) -> str:
        answer = self.post(sim=sim, **changes)
        assert answer.status_code == 200, answer.text
        execution_id = answer.json()["data"]["executionId"]
        assert isinstance(execution_id, str)
        return execution_id

    def collect(self, *, sim: dict[str, Any] | None = None, **changes: Any) -> Any:
        """Execute, wait until nothing is under way, and return the body of the last webhook."""
        self.execute(sim=sim, **changes)
        assert self.simulator.wait_idle(10)
        return self.receiver.posts[-1].json
