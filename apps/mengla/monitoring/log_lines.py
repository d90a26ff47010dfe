"""The log lines of one collection, from the file that LOG_FILE names.

The product writes its lines to stderr, and whoever starts it puts them into that file. Reading begins at the
end of the file and stops after a few megabytes or a part of a second, so that no page waits for it.
"""

from __future__ import annotations

import os
import shlex
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson
from django.conf import settings

from apps.core.printable import has_unprintable

MAX_LINES = 100
_MAX_BYTES = 16 * 1024 * 1024
_MAX_SECONDS = 0.5
_CHUNK_BYTES = 256 * 1024
_MAX_LINE_BYTES = 16 * 1024
_SHOWN_CHARACTERS = 500
# Shown in columns of their own, or the same in all lines.
_NOT_DETAILS = ("timestamp", "level", "event", "collection_id")
_HIDDEN = "\ufffd"


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line: when, how urgent, what happened, and its other fields as a text."""

    timestamp: str
    level: str
    event: str
    details: str


@dataclass(frozen=True, slots=True)
class FoundLines:
    """The last lines in the order of time; ``is_whole`` is false if older ones were not looked for."""

    lines: list[LogLine]
    is_whole: bool


def find_lines(collection_id: str) -> FoundLines | None:
    """Return the last lines about a collection; None without a file that can be read."""
    try:
        return _find(collection_id, settings.LOG_FILE) if settings.LOG_FILE else None
    except OSError:
        return None


def command_for(collection_id: str, *, since: str) -> str:
    """Return the shell command that finds the lines; ``since`` is a local time for the journal."""
    if settings.LOG_FILE:
        return f"grep -h {shlex.quote(collection_id)} {shlex.quote(settings.LOG_FILE)}"
    options = f"--no-pager --output=cat --since {shlex.quote(since)}"
    return f"journalctl {options} --grep {shlex.quote(collection_id)}"


def _find(collection_id: str, path: str) -> FoundLines:
    wanted, deadline = collection_id.encode(), time.monotonic() + _MAX_SECONDS
    found: list[LogLine] = []
    # A pipe without a writer would block.
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        facts = os.fstat(file.fileno())
        if not stat.S_ISREG(facts.st_mode):
            raise OSError("not a regular file")
        for line in _backwards(file, facts.st_size):
            if line is None or time.monotonic() > deadline or len(found) == MAX_LINES:
                return FoundLines(found[::-1], is_whole=False)
            if wanted in line:
                found.append(_parsed(line))
    return FoundLines(found[::-1], is_whole=True)


def _backwards(file: Any, size: int) -> Iterator[bytes | None]:
    """Yield the lines from the last to the first; None at the end if the file has more than is read."""
    rest, start = b"", size
    while start > 0:
        if size - start >= _MAX_BYTES:
            yield None
            return
        step = min(_CHUNK_BYTES, start)
        start -= step
        file.seek(start)
        first, *lines = (file.read(step) + rest).split(b"\n")
        yield from reversed(lines)
        rest = first[:_MAX_LINE_BYTES]  # of a longer line only the beginning is kept
    yield rest


def _parsed(line: bytes) -> LogLine:
    try:
        fields = orjson.loads(line)
    except orjson.JSONDecodeError:
        fields = None
    if not isinstance(fields, dict):  # LOG_FORMAT=console, or a line of another program
        return LogLine("", "", "", _shown(line.decode(errors="replace")))
    details = [f"{name}={value}" for name, value in fields.items() if name not in _NOT_DETAILS]
    timestamp, level, event = (_shown(str(fields.get(name, ""))) for name in ("timestamp", "level", "event"))
    return LogLine(timestamp, level, event, _shown(" ".join(details)))


def _shown(text: str) -> str:
    clipped = text[:_SHOWN_CHARACTERS]
    if not has_unprintable(clipped):
        return clipped
    return "".join(_HIDDEN if has_unprintable(one) else one for one in clipped)
