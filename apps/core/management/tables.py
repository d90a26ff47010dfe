"""The table printer of the commands: plain text that reads well in a terminal and in a pipe."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len

_GAP = "  "


def format_table(titles: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return the rows under their titles, in columns; numbers stand to the right."""
    texts = [list(map(str, titles)), *([_cell(value) for value in row] for row in rows)]
    widths = [max(cell_len(text) for text in column) for column in zip(*texts, strict=True)]
    is_number = [
        bool(rows) and all(isinstance(row[index], int | float) for row in rows)
        for index in range(len(titles))
    ]
    return "\n".join(
        _GAP.join(
            _padded(text, width, is_right=right)
            for text, width, right in zip(line, widths, is_number, strict=True)
        ).rstrip()
        for line in texts
    )


def printable(text: str) -> str:
    """Return the text on one line, with everything a terminal might obey escaped."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


def _cell(value: object) -> str:
    return "-" if value is None or value == "" else printable(str(value))


def _padded(text: str, width: int, *, is_right: bool) -> str:
    # Chinese characters are two cells wide.
    space = " " * (width - cell_len(text))
    return space + text if is_right else text + space
