"""A temporary directory that does not stay behind, even when its process is killed.

A process holds a lock in its directory. The system frees the lock of a process that has ended, whatever the
reason, and the next directory of the same kind removes what nobody holds.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from pathlib import Path

_LOCK = "lock"
_NEW_SECONDS = 60.0  # a younger directory may have no lock yet


class ScratchDirectory(tempfile.TemporaryDirectory[str]):
    """A directory for this process; those of its kind that a killed process has left are removed."""

    def __init__(self, prefix: str) -> None:
        _remove_left_over(prefix)
        super().__init__(prefix=prefix)
        self._lock = Path(self.name, _LOCK).open("wb")  # noqa: SIM115
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def cleanup(self) -> None:
        """Remove the directory."""
        super().cleanup()
        self._lock.close()


def _remove_left_over(prefix: str) -> None:
    for directory in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        try:
            state = directory.lstat()
            if state.st_uid == os.getuid() and time.time() - state.st_mtime > _NEW_SECONDS:
                _remove_unless_locked(directory)
        except OSError:  # another process was faster
            continue


def _remove_unless_locked(directory: Path) -> None:
    with (directory / _LOCK).open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(directory)
