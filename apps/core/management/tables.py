"""The tables of commands: plain text for terminals and pipes."""

from __future__ import annotations

from collections.abc import Sequence

from apps.core.management.colours import Toned, coloured

_GAP = "  "


def format_table(titles: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return the rows under their titles, in columns; columns of numbers are aligned to the right.

    Nothing is wrapped or cut, because programs read the tables, too. A cell that is a
    :class:`~apps.core.management.colours.Toned` text has its colour.
    """
    columns = list(zip(titles, *rows, strict=True))
    widths = [max(text_width(_cell(value)) for value in column) for column in columns]
    are_numbers = [
        bool(values) and all(isinstance(value, int | float) for value in values) for _, *values in columns
    ]
    lines = []
    for row in (titles, *rows):
        cells = [
            _padded(value, width, is_number=is_number)
            for value, width, is_number in zip(row, widths, are_numbers, strict=True)
        ]
        lines.append(_GAP.join(cells).rstrip())
    return "\n".join(lines)


def text_width(text: str) -> int:
    """Return how many columns of a terminal the text fills: two for each Chinese character."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len  # imported here, because most texts are ASCII

    return cell_len(text)


def printable(text: str) -> str:
    """Return the text on one line, with all control characters escaped."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


def _padded(value: object, width: int, *, is_number: bool) -> str:
    cell = _cell(value)
    space = " " * (width - text_width(cell))
    if is_number:
        return space + cell
    return coloured(cell, value.tone if isinstance(value, Toned) else None) + space


def _cell(value: object) -> str:
    return "-" if value is None or value == "" else printable(str(value))
