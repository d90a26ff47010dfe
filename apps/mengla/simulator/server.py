"""Starts and stops the simulator; owns its listening socket."""

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
from apps.mengla.simulator.journal import Journal
from apps.mengla.simulator.sender import WebhookSender
from apps.mengla.simulator.state import SimulatorConfig, SimulatorState

logger = logging.getLogger(__name__)

PRODUCTION = "production"
MAX_CONNECTIONS = 500
STOP_SECONDS = 10.0


class SimulatorRefused(RuntimeError):
    """The simulator does not start in production, because its figures are made up."""


class Simulator(SimulatorState):
    """A collection service with made-up figures; a context manager that starts and stops it.

    It runs in threads of the current process, so tests can use it.
    """

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
        """The base URL, to be set as COLLECT_SERVICE_URL."""
        host = "127.0.0.1" if self.config.host == "0.0.0.0" else self.config.host  # noqa: S104
        return f"http://{host}:{self._port}"

    @property
    def port(self) -> int:
        """The port it listens on; a simulator that is started again uses the same port."""
        return self._port

    def start(self) -> None:
        """Listen and serve in background threads.

        :raises SimulatorRefused: with ENV=production.
        :raises OSError: when the address is in use, or the journal cannot be written.
        :raises RuntimeError: when it is running already.
        """
        if self.config.env == PRODUCTION:
            raise SimulatorRefused(
                "The simulator does not start with ENV=production: its figures are made up"
            )
        if self._server is not None:
            raise RuntimeError("the simulator is already running")
        self.is_stopping.clear()
        server = _Server((self.config.host, self._port), self)
        try:
            self.journal = Journal(self.config.journal_path)
        except OSError:
            server.server_close()
            raise
        self._port = server.server_address[1]
        sender = WebhookSender(
            secret=self.config.webhook_secret, timeout_seconds=self.config.webhook_timeout_seconds
        )
        self._executions = Executions(
            stats=self.stats_counter,
            sender=sender,
            journal=self.journal,
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
        """Stop serving, abort everything under way and end all threads; a second call does nothing."""
        server, executions, thread = self._server, self._executions, self._thread
        if server is None or executions is None or thread is None:
            return
        self.is_stopping.set()
        server.shutdown()
        thread.join()
        executions.stop()
        server.close_connections(STOP_SECONDS)
        server.server_close()
        self.journal.close()
        self._server = self._executions = self._thread = None

    def wait_idle(self, timeout_seconds: float = 30.0) -> bool:
        """Wait until no execution is open and every webhook is sent; returns False on a timeout."""
        return self.executions.wait_idle(timeout_seconds)


class _Server(ThreadingHTTPServer):
    """The listening socket; it knows its connections, so that a stop can end them."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], simulator: SimulatorState) -> None:
        self.simulator = simulator
        self._connections: dict[socket.socket, threading.Thread] = {}
        self._connections_lock = threading.Lock()
        super().__init__(address, ProtocolHandler)

    def server_bind(self) -> None:
        """Bind without the host name look-up of the base class, which can take seconds."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve one connection in its own thread; close it at once when too many are open."""
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
        """Serve one connection, then remove it from the known ones."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._connections_lock:
                self._connections.pop(request, None)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log a connection that failed; a client that disconnects is not an error."""
        if isinstance(sys.exception(), ConnectionError | TimeoutError):
            logger.debug("connection from %s broke off", client_address)
        else:
            logger.exception("connection from %s failed", client_address)

    def close_connections(self, timeout_seconds: float) -> None:
        """Close every connection, idle ones included, and wait at most this long for each thread."""
        with self._connections_lock:
            connections = dict(self._connections)
        for each in connections:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in connections.values():
            thread.join(timeout_seconds)
