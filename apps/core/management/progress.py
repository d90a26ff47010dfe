"""The progress display of commands on stderr: a live bar in a terminal, a few lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Protocol, cast

from django.core.management.base import OutputWrapper

if TYPE_CHECKING:
    from rich.progress import Progress

# The next line is due after this share of the time so far, so a run of several days writes about 150 lines.
_GROWTH = 0.1
_MIN_LINE_SECONDS = 2.0


class Display(Protocol):
    """A display of progress."""

    def show(self, *, done: int, total: int, facts: str) -> None:
        """Show the progress; may be called at any rate. A total of 0 is unknown."""

    def note(self, text: str) -> None:
        """Print a line that stays."""


@contextmanager
def open_display(stderr: OutputWrapper, *, title: str, is_bar_wanted: bool) -> Iterator[Display]:
    """Show progress within the block; a bar if one is wanted and stderr is a terminal."""
    if not (is_bar_wanted and stderr.isatty()):
        lines = _Lines(stderr, title)
        try:
            yield lines
        finally:
            lines.show_last()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    # No thread redraws the bar: the caller does, and stays able to handle signals.
    progress = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[facts]}", markup=False),
        console=Console(file=cast("IO[str]", stderr._out)),
        auto_refresh=False,
    )
    with progress:
        yield _Bar(progress, title)


class _Bar:
    """A live bar."""

    def __init__(self, progress: Progress, title: str) -> None:
        self._progress = progress
        self._task = progress.add_task(title, total=None, facts="", visible=False)

    def show(self, *, done: int, total: int, facts: str) -> None:
        """Redraw the bar."""
        # Without a total, rich shows activity instead of progress.
        self._progress.update(
            self._task, completed=done, total=total or None, facts=facts, visible=True, refresh=True
        )

    def note(self, text: str) -> None:
        """Print a line above the bar."""
        self._progress.console.print(text, markup=False, highlight=False)


class _Lines:
    """Lines at changes, at growing intervals."""

    def __init__(self, stderr: OutputWrapper, title: str) -> None:
        self._stderr = stderr
        self._title = title
        self._began_at = time.monotonic()
        self._next_at = self._began_at
        self._counts = self._shown_counts = (-1, -1)
        self._line = ""

    def show(self, *, done: int, total: int, facts: str) -> None:
        """Write a line if the counts have changed and the next line is due."""
        self._counts, self._line = (done, total), _line(self._title, done, total, facts)
        if time.monotonic() >= self._next_at:
            self.show_last()

    def show_last(self) -> None:
        """Write the last line, unless its counts are already shown."""
        if self._counts == self._shown_counts:
            return
        self._shown_counts = self._counts
        self._stderr.write(self._line)
        now = time.monotonic()
        self._next_at = now + max(_MIN_LINE_SECONDS, (now - self._began_at) * _GROWTH)

    def note(self, text: str) -> None:
        """Write the line."""
        self._stderr.write(text)


def _line(title: str, done: int, total: int, facts: str) -> str:
    """Return the line; a total of 0 is unknown and left out."""
    count = f"{done}/{total}" if total else f"{done}"
    return f"{title}: {count}  {facts}".rstrip()
