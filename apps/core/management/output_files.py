"""Where a command writes a file: beside its place, so that a file that is cut off never has its name."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from django.utils.translation import gettext as _

from apps.core.errors import DomainError, InvalidInput

STANDARD_OUTPUT = "-"


@contextmanager
def written_beside(path: Path, *, is_private: bool = False) -> Iterator[IO[bytes]]:
    """Open a new file for the block; it takes its place, also that of an older one, if the block succeeds.

    A private one can be read by its owner only.

    :raises InvalidInput: when there can be no such file.
    :raises DomainError: when it cannot be written to its end.
    """
    if path.exists() and not path.is_file():
        raise _refused(_("%(path)s is not a file.") % {"path": path})
    try:
        file = tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name[:100]}.", delete=False)  # noqa: SIM115
    except OSError as error:
        message = _("%(path)s cannot be written: %(error)s.") % {"path": path, "error": error.strerror}
        raise _refused(message) from error
    try:
        try:
            with file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            if not is_private:
                _use_own_mode(Path(file.name))
            Path(file.name).replace(path)
        except OSError as error:
            message = _("%(path)s cannot be written: %(error)s.") % {"path": path, "error": error.strerror}
            raise DomainError(message) from error
    finally:
        Path(file.name).unlink(missing_ok=True)


def _use_own_mode(path: Path) -> None:
    """Give a temporary file, which only its owner may read, the mode of any new file."""
    mask = os.umask(0)
    os.umask(mask)
    path.chmod(0o666 & ~mask)


def _refused(message: str) -> InvalidInput:
    return InvalidInput(message, fields={"output": [message]})
