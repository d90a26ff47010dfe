"""Checks ports of this machine: which are free, and which accept connections."""

from __future__ import annotations

import http.client
import socket
from urllib.parse import urlsplit

import psutil  # type: ignore[import-untyped]

HTTP_ERROR_STATUS = 400


def free_port(preferred: int | None = None) -> int:
    """Return the preferred port if it is free, otherwise any free one."""
    if preferred and listen_problem(preferred) is None:
        return preferred
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listen_problem(port: int, *, host: str = "127.0.0.1") -> str | None:
    """Return why a server cannot listen on this port, or None when it can."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            # Servers set this, too: connections of an earlier run in TIME_WAIT do not block the port.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except (OSError, UnicodeError) as error:
        return (getattr(error, "strerror", None) or str(error)).lower()
    # Some systems let two programs listen on the same port when one of them uses a wildcard address.
    return "another program is listening there" if is_port_open(port, host=host) else None


def is_port_open(port: int, *, host: str = "127.0.0.1", timeout_seconds: float = 1.0) -> bool:
    """Tell whether something accepts connections on this port."""
    try:
        with socket.create_connection((host, port), timeout=timeout_seconds):
            return True
    except OSError:
        return False


def is_listening(pid: int, port: int) -> bool:
    """Tell whether this process or one of its descendants listens on this port."""
    try:
        process = psutil.Process(pid)
        return any(
            one.status == psutil.CONN_LISTEN and one.laddr.port == port
            for each in (process, *process.children(recursive=True))
            for one in each.net_connections("tcp")
        )
    except psutil.Error:  # a process has ended in the meantime
        return False


def url_responds(url: str, *, timeout_seconds: float = 2.0) -> bool:
    """Tell whether a GET of this http URL, without a proxy, returns a status below 400."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(
        parts.hostname or "", parts.port or http.client.HTTP_PORT, timeout=timeout_seconds
    )
    try:
        connection.request("GET", f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}")
        return connection.getresponse().status < HTTP_ERROR_STATUS
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
