"""Colours of words such as a state; they are printed only on terminals, and nothing is told by them alone.

A command colours always. When it prints, the colours are removed unless the stream shows them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Self

_CODES = re.compile(r"\x1b\[[0-9;]*m")
_RESET = "\x1b[0m"


class Tone(StrEnum):
    """What a colour says; the values are the codes of terminals."""

    GOOD = "\x1b[32m"  # green
    NOTICE = "\x1b[33m"  # yellow
    BAD = "\x1b[31m"  # red


class Toned(str):
    """A word with a colour, for a cell of a table."""

    __slots__ = ("tone",)
    tone: Tone | None

    def __new__(cls, text: str, tone: Tone | None) -> Self:
        """Make the word; without a tone it is plain."""
        toned = super().__new__(cls, text)
        toned.tone = tone
        return toned


def coloured(text: str, tone: Tone | None) -> str:
    """Return the text between the codes of its colour; the text itself must not have any."""
    return text if tone is None else f"{tone.value}{text}{_RESET}"


def for_stream(text: str, stream: Any, options: Mapping[str, Any]) -> str:
    """Return the text as the stream shows it: without colours unless it is a terminal that has them.

    ``--no-color`` and ``--force-color`` decide first, then NO_COLOR and FORCE_COLOR, which rich reads.
    """
    if "\x1b" not in text or _has_colours(stream, options):
        return text
    return _CODES.sub("", text)


def _has_colours(stream: Any, options: Mapping[str, Any]) -> bool:
    if options.get("no_color") or options.get("force_color"):
        return bool(options.get("force_color"))
    from rich.console import Console  # imported here, because most texts have no colours

    console = Console(file=getattr(stream, "_out", stream))
    return console.color_system is not None and not console.no_color
