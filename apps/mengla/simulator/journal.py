"""The journal of a simulator: a file that says what came and what was sent, also of simulators before it.

Each line is one JSON object with ``at`` (seconds since 1970) and ``event``:

- ``list``: the task list was requested;
- ``request``: an execute request; ``request`` is its id;
- ``refused``: it was refused, with ``status``; ``accepted``: with ``execution`` and ``parameters``;
- ``responding``: the response to an accepted one is about to be sent;
- ``ended``: the execution has ended; ``is_dropped``: nothing is sent for it;
- ``sending``, ``sent``: one attempt to send its result, of the kind ``result``; ``status`` and ``receipt``
  are the response, null if there was none.

A line is written with one call that appends, so a killed simulator leaves whole lines. No line has a secret.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path
from typing import Any


class Journal:
    """Appends lines to a file; without a path it does nothing. All methods are thread-safe."""

    def __init__(self, path: Path | None) -> None:
        """Open the file; it is created if needed.

        :raises OSError: when it cannot be written.
        """
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        self._file = None if path is None else os.open(path, flags, 0o600)

    def write(self, event: str, *, seconds_ago: float = 0.0, **values: Any) -> None:
        """Append a line; ``seconds_ago`` is how long ago the event was."""
        if self._file is not None:
            line = {"at": time.time() - seconds_ago, "event": event, **values}
            with contextlib.suppress(OSError):  # a full disk does not stop the service
                os.write(self._file, json.dumps(line, ensure_ascii=False).encode() + b"\n")

    def close(self) -> None:
        """Close the file; later lines are dropped."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)
