"""The file that a worker touches while it supervises its cluster; probes look at the age of the file."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

from django.core.management.base import CommandError
from django.utils.translation import gettext as _

INTERVAL_SECONDS = 2.0


class Heartbeat:
    """Touches a file, however often it is told that the process works; without a path it does nothing."""

    def __init__(self, path: str) -> None:
        self._path = Path(path) if path else None
        self._next_at = 0.0

    def require_file(self) -> None:
        """Touch the file for the first time.

        :raises CommandError: when it cannot be written. A probe would otherwise end a worker that works.
        """
        if self._path is None:
            return
        try:
            self._path.touch()
        except OSError as error:
            message = _("WORKER_HEARTBEAT_FILE cannot be written: %(reason)s.")
            raise CommandError(message % {"reason": error.strerror or type(error).__name__}) from error

    def beat(self) -> None:
        """Touch the file, at most once in two seconds; a disk that is full is reported by the probe."""
        now = time.monotonic()
        if self._path is not None and now >= self._next_at:
            self._next_at = now + INTERVAL_SECONDS
            with suppress(OSError):
                self._path.touch()
