"""Writes an export to a temporary file before it is sent: a reader gets all of it, or an error.

The web server ends a stream that fails cleanly, and a CSV file that is cut off looks like a whole one. So
nothing is sent before everything is there, and its length is known. The file has no name: the system frees
its space in any case. It is kept compressed. See docs/adr/0025-an-export-is-written-before-it-is-sent.md.
"""

from __future__ import annotations

import errno
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import IO, cast

import structlog
from django.conf import settings
from django.utils.translation import gettext as _
from isal import igzip

from apps.core import process_state
from apps.core.errors import DependencyUnavailable, RateLimited
from apps.core.web_threads import Places
from apps.mengla.export.query import ExportFormat, ExportQuery
from apps.mengla.export.summary import Summary
from apps.mengla.export.table import ExportTable
from apps.mengla.export.writers import check_format, write_export

PIECE_BYTES = 1 << 16
_IN_MEMORY_BYTES = 1 << 20  # a smaller file is not written to the disk
_RETRY_AFTER_SECONDS = 10
_COMPRESSION = 1
COMPRESSED = frozenset({ExportFormat.NDJSON, ExportFormat.CSV})  # others are compressed in themselves
_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

logger = structlog.get_logger(__name__)


class TooManyExports(RateLimited):
    """As many exports are being written or sent by this process as may."""


@dataclass(slots=True)
class ExportFile:
    """A finished file. Whoever has it closes it, which frees its place among the exports of the process."""

    form: ExportFormat
    summary: Summary
    length_bytes: int
    stored_bytes: int
    _file: IO[bytes]
    _resources: ExitStack
    _began_at: float
    _written_at: float

    @property
    def is_compressed(self) -> bool:
        """Whether the stored file is gzip around the file that was asked for."""
        return self.form in COMPRESSED

    def pieces(self, *, as_stored: bool) -> Iterator[bytes]:
        """Yield the file, or with ``as_stored`` the compressed one."""
        self._file.seek(0)
        file: IO[bytes] = self._file
        if self.is_compressed and not as_stored:
            file = _gzip(self._file, "rb")
        while piece := file.read(PIECE_BYTES):
            yield piece

    def close(self, *, sent_bytes: int, is_complete: bool) -> None:
        """Free the file and its place; the two arguments are for the log."""
        self._resources.close()
        now = time.perf_counter()
        logger.info(
            "export_sent" if is_complete else "export_cut_off",
            format=self.form.value,
            rows=self.summary.rows,
            bytes=sent_bytes,
            seconds_written=round(self._written_at - self._began_at, 3),
            seconds_sent=round(now - self._written_at, 3),
        )


def open_export(query: ExportQuery, form: ExportFormat, *, has_titles: bool = False) -> ExportFile:
    """Write the file of an export; see :func:`~apps.mengla.export.writers.write_export` for ``has_titles``.

    :raises InvalidInput: when it has too many rows, or the format needs a package that is not installed.
    :raises TooManyExports: when this process has no place for another one.
    :raises DependencyUnavailable: when there is no space for the file.
    """
    check_format(form)
    try:
        return _open_export(query, form, has_titles=has_titles)
    except OSError as error:  # also of the file as it is closed: it writes what is in its buffer
        if error.errno in _NO_SPACE:
            message = _("The server has no space for the file. Tell its administrator.")
            raise DependencyUnavailable(message, detail="disk") from error
        raise


def _open_export(query: ExportQuery, form: ExportFormat, *, has_titles: bool) -> ExportFile:
    with ExitStack() as resources:
        if not resources.enter_context(export_places().claim()):
            raise TooManyExports(
                _("Too many exports are in progress. Try again shortly."),
                retry_after_seconds=_RETRY_AFTER_SECONDS,
            )
        began_at = time.perf_counter()
        table = ExportTable(query)
        table.check_size()
        file = resources.enter_context(tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES))
        length_bytes = _write(table, form, file, has_titles=has_titles)
        file.flush()  # what does not fit on the disk is an error now, not while the file is sent
        return ExportFile(
            form=form,
            summary=table.summary,
            length_bytes=length_bytes,
            stored_bytes=file.tell(),
            _file=file,
            _resources=resources.pop_all(),
            _began_at=began_at,
            _written_at=time.perf_counter(),
        )


def _write(table: ExportTable, form: ExportFormat, file: IO[bytes], *, has_titles: bool) -> int:
    """Write the file and return its length without compression."""
    if form not in COMPRESSED:
        write_export(table, form, file, has_titles=has_titles)
        return file.tell()
    with _gzip(file, "wb") as compressed:
        write_export(table, form, compressed)
        return compressed.tell()


class _GzipFile(igzip.GzipFile):
    """A compressed file that only a ``with`` closes: after a full disk there is nothing left to write."""

    def __del__(self) -> None:
        """Do not close it, which Python would report as an error."""


def _gzip(file: IO[bytes], mode: str) -> IO[bytes]:
    options = {"fileobj": file, "mode": mode, "compresslevel": _COMPRESSION, "mtime": 0}
    return cast("IO[bytes]", _GzipFile(**options))  # type: ignore[no-untyped-call]


@process_state.made_once
def export_places() -> Places:
    """Return this process's places for exports, each of which keeps a thread busy: a quarter of them."""
    return Places(max(1, settings.WEB_THREADS // 4))
