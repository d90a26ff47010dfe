"""The simulator itself: its start and stop, and its listening socket."""

from __future__ import annotations

import contextlib
import logging
import socket
import socketserver
import sys
import threading
from http.server import ThreadingHTTPServer
from types import TracebackType
from typing import Any

from apps.mengla.simulator.executions import Executions
from apps.mengla.simulator.handler import ProtocolHandler
from apps.mengla.simulator.sender import WebhookSender
from apps.mengla.simulator.state import SimulatorConfig, SimulatorState

logger = logging.getLogger(__name__)

PRODUCTION = "production"
MAX_CONNECTIONS = 500
STOP_SECONDS = 10.0


class SimulatorRefused(RuntimeError):
    """The simulator will not start here: its figures are made up, and production wants real ones."""


class Simulator(SimulatorState):
    """A collection service with made-up figures; a context manager, usable inside a test process."""

    def __init__(self, config: SimulatorConfig | None = None) -> None:
        super().__init__(config or SimulatorConfig())
        self._port = self.config.port
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Simulator:
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The base address to give to the product as COLLECT_SERVICE_URL."""
        host = "127.0.0.1" if self.config.host == "0.0.0.0" else self.config.host  # noqa: S104
        return f"http://{host}:{self._port}"

    @property
    def port(self) -> int:
        """The port it listens on; a stopped simulator starts again on the same one."""
        return self._port

    def start(self) -> None:
        """Listen and serve in background threads; an address in use is an ``OSError``."""
        if self.config.env == PRODUCTION:
            raise SimulatorRefused(
                "The simulator makes its figures up: it does not start with ENV=production"
            )
        if self._server is not None:
            raise RuntimeError("the simulator runs already")
        self.is_stopping.clear()
        server = _Server((self.config.host, self._port), self)
        self._port = server.server_address[1]
        sender = WebhookSender(
            secret=self.config.webhook_secret, timeout_seconds=self.config.webhook_timeout_seconds
        )
        self._executions = Executions(
            stats=self.stats_counter,
            sender=sender,
            concurrency=self._knobs.concurrency,
            webhook_attempts=self.config.webhook_attempts,
            webhook_retry_seconds=self.config.webhook_retry_seconds,
        )
        self._server = server
        self._thread = threading.Thread(
            target=server.serve_forever, kwargs={"poll_interval": 0.1}, name="simulator", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop serving, break off everything under way and end all threads; harmless when not running."""
        server, executions, thread = self._server, self._executions, self._thread
        if server is None or executions is None or thread is None:
            return
        self.is_stopping.set()
        server.shutdown()
        thread.join()
        executions.stop()
        server.close_connections(STOP_SECONDS)
        server.server_close()
        self._server = self._executions = self._thread = None

    def wait_idle(self, timeout_seconds: float = 30.0) -> bool:
        """Wait until no execution runs or queues and no webhook is due; False if that takes too long."""
        return self.executions.wait_idle(timeout_seconds)


class _Server(ThreadingHTTPServer):
    """The listening socket, with all its connections known so that a stop can end them."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], simulator: SimulatorState) -> None:
        self.simulator = simulator
        self._connections: dict[socket.socket, threading.Thread] = {}
        self._connections_lock = threading.Lock()
        super().__init__(address, ProtocolHandler)

    def server_bind(self) -> None:
        """Bind without the name look-up of the base class, which can take seconds."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve one connection in a thread of its own, as long as there are not too many."""
        thread = threading.Thread(
            target=self.process_request_thread, args=(request, client_address), daemon=True
        )
        with self._connections_lock:
            if len(self._connections) < MAX_CONNECTIONS:
                self._connections[request] = thread
        if request in self._connections:
            thread.start()
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve one connection and forget it."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._connections_lock:
                self._connections.pop(request, None)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log a connection that broke; clients that go away are no error."""
        if isinstance(sys.exception(), ConnectionError | TimeoutError):
            logger.debug("connection from %s broke off", client_address)
        else:
            logger.exception("connection from %s failed", client_address)

    def close_connections(self, timeout_seconds: float) -> None:
        """End every connection, idle ones included, and wait for their threads."""
        with self._connections_lock:
            connections = dict(self._connections)
        for each in connections:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in connections.values():
            thread.join(timeout_seconds)
