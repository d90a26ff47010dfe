"""A process that stops listening resets no connection; more is in tests/launcher/test_serve.py."""

from __future__ import annotations

import sys

import pytest

from tests.programs import run_python

# In a process of its own: every listening socket of the process stops to accept new connections.
SCRIPT = """
import socket
from apps.core.web.draining import drain


listener = socket.create_server(("127.0.0.1", 0))
before = socket.create_connection(listener.getsockname())
before.sendall(b"request")
drain(0)
late = socket.socket()
late.settimeout(0.1)
try:
    late.connect(listener.getsockname())
    print("accepted")
except TimeoutError:
    print("dropped")
taken, _ = listener.accept()
print(taken.recv(100).decode())
before.sendall(b", more")
print(taken.recv(100).decode())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has the packet filter")
def test_what_was_connected_is_taken_and_nothing_new_is() -> None:
    ended = run_python("-c", SCRIPT)
    assert ended.stdout.split("\n") == ["dropped", "request", ", more", ""], ended.stderr
