"""The tables of commands: plain text for terminals and pipes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from io import StringIO


def format_table(titles: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return the rows under their titles, in columns; columns of numbers are aligned to the right.

    Nothing is coloured, wrapped or cut, because programs read the tables, too.
    """
    from rich.console import Console  # imported here, because most commands print no table
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title, *values in zip(titles, *rows, strict=True):
        is_number = bool(values) and all(isinstance(value, int | float) for value in values)
        table.add_column(Text(title), justify="right" if is_number else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(_cell(value)) for value in row))  # Text has no markup
    output = StringIO()
    Console(file=output, width=sys.maxsize, color_system=None).print(table)
    return "\n".join(line.rstrip() for line in output.getvalue().splitlines())


def printable(text: str) -> str:
    """Return the text on one line, with all control characters escaped."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


def _cell(value: object) -> str:
    return "-" if value is None or value == "" else printable(str(value))
