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
    columns = list(zip(*rows, strict=True)) or [()] * len(titles)
    are_numbers = [
        bool(values) and all(isinstance(value, int | float) for value in values) for values in columns
    ]
    # Texts with their tones: the width of a cell is that of its text.
    lines: list[list[Toned]] = [[Toned(title, None) for title in titles]]
    lines += [
        [Toned(_cell(value), value.tone if isinstance(value, Toned) else None) for value in row]
        for row in rows
    ]
    widths = [max(map(text_width, column)) for column in zip(*lines, strict=True)]
    return "\n".join(_GAP.join(map(_padded, line, widths, are_numbers)).rstrip() for line in lines)


def text_width(text: str) -> int:
    """Return how many columns of a terminal the text fills: two for each Chinese character."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len  # imported here, because most texts are ASCII

    return cell_len(text)


def printable(text: str) -> str:
    """Return the text on one line, with all control characters escaped."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


def _padded(text: Toned, width: int, is_number: bool) -> str:
    space = " " * (width - text_width(text))
    return f"{space}{text}" if is_number else coloured(text, text.tone) + space


def _cell(value: object) -> str:
    return "-" if value is None or value == "" else printable(str(value))
