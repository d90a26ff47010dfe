"""The end of a web process: it leaves its proxy first, then accepts nothing more, and loses no request.

A proxy may send requests up to the moment at which the process stops. Three things would lose some of them,
and each has its answer here:

* A load balancer does not know that the process ends. For ``DRAIN_SECONDS`` after SIGTERM the process serves
  everything as before, but ``/ready`` is 503, so that the balancer takes it out.
* A proxy reuses a connection at the moment at which the process closes it. While the process drains, each
  response closes its connection, so the proxy opens the next one, and later to another process.
* The system resets connections that it has accepted and the process has not, when the process stops to
  listen. So for the last ``CLOSING_SECONDS`` it drops requests for new connections (Linux), and the process
  takes those that are there. A client repeats its request for a connection after a second. Then nobody
  listens, so it is refused, and a proxy uses its next server.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from apps.core import process_state

CLOSING_SECONDS = 0.2
_DESCRIPTORS = Path("/proc/self/fd")
_SO_ATTACH_FILTER = 26  # of Linux; Python does not name it
_DROP_NEW_CONNECTIONS = (  # a program of the classic packet filter: code, jump if true, if false, value
    (0x30, 0, 0, 13),  # load the byte with the flags of the TCP header
    (0x54, 0, 0, 0x12),  # of these SYN and ACK
    (0x15, 0, 1, 0x02),  # only SYN: the first packet of a connection
    (0x06, 0, 0, 0),  # drop it
    (0x06, 0, 0, 0xFFFFFFFF),  # pass any other packet
)


class _State:
    """Whether this process drains."""

    is_draining = False

    def forget(self) -> None:
        """Serve as after the start."""
        self.is_draining = False


_state = _State()
process_state.register(_state.forget)


def is_draining() -> bool:
    """Whether this process was asked to stop, and goes on for a while."""
    return _state.is_draining


def drain(seconds: float) -> None:
    """Leave the proxy, and return when this process can stop listening without losing a request.

    :param seconds: how long the proxy may take to notice that the process is not ready.
    """
    _state.is_draining = True
    time.sleep(seconds)
    for listener in _listeners():
        with listener, suppress(OSError):
            _drop_new_connections(listener)
    time.sleep(CLOSING_SECONDS)


def closing_when_draining(application: Any) -> Callable[[dict[str, Any], Any], Iterable[bytes]]:
    """Return the WSGI application; while the process drains, its responses close their connections."""

    def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if not _state.is_draining:
            return application(environ, start_response)  # type: ignore[no-any-return]

        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            return start_response(status, [*headers, ("Connection", "close")], *rest)

        return application(environ, start)  # type: ignore[no-any-return]

    return answer


def _listeners() -> Iterator[socket.socket]:
    """Open each TCP socket on which this process listens once more; the server does not show its own."""
    if sys.platform != "linux":
        return
    for descriptor in _DESCRIPTORS.iterdir():
        with suppress(OSError):
            if not str(descriptor.readlink()).startswith("socket:"):
                continue
            found = socket.socket(fileno=os.dup(int(descriptor.name)))
            if found.family in (socket.AF_INET, socket.AF_INET6) and _is_listening(found):
                yield found
            else:
                found.close()


def _is_listening(found: socket.socket) -> bool:
    return bool(found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def _drop_new_connections(listener: socket.socket) -> None:
    program = b"".join(struct.pack("HBBI", *step) for step in _DROP_NEW_CONNECTIONS)
    held = ctypes.create_string_buffer(program)  # the system copies it during the call
    option = struct.pack("HL", len(_DROP_NEW_CONNECTIONS), ctypes.addressof(held))
    listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, option)
