"""The limit: a WSGI function that returns finished bytes, served by the same granian with the same arguments.

Its answers are those of the product, byte for byte, in a file that ``BENCH_ANSWERS`` names. Nothing of Django
is imported, and nothing but the path is looked at.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
from collections.abc import Callable, Iterable
from http import HTTPStatus
from pathlib import Path
from typing import Any

from apps.launcher.processes import end_with_parent
from config.web_server import deliver_stop_signals

# The server sends these itself.
_NOT_SENT = frozenset({"date", "server", "connection", "transfer-encoding"})
_answers: dict[str, tuple[str, list[tuple[str, str]], bytes]] = {}

if multiprocessing.parent_process() is not None:
    deliver_stop_signals()
    end_with_parent()


def write_answers(path: Path, answers: dict[str, tuple[int, Iterable[tuple[str, str]], bytes]]) -> None:
    """Write the answers by their paths, before the server is started."""
    ready = {
        name: (
            f"{status} {HTTPStatus(status).phrase}",
            [(header, value) for header, value in headers if header not in _NOT_SENT],
            body,
        )
        for name, (status, headers, body) in answers.items()
    }
    path.write_bytes(pickle.dumps(ready))


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """Return the answer of a path."""
    if not _answers:
        _answers.update({"/health": ("200 OK", [], b"ok")})
        _answers.update(pickle.loads(Path(os.environ["BENCH_ANSWERS"]).read_bytes()))
    status, headers, body = _answers[environ["PATH_INFO"]]
    start_response(status, headers)
    return [body]
