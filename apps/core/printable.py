"""The one rule for texts that users enter, files hold or clients send, and that a page or a log may show."""

from __future__ import annotations

import unicodedata

# Control, format (they can reverse or hide text), surrogate, and line and paragraph separators.
_UNPRINTABLE = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_LINES = "\n\r\t"


def has_unprintable(text: str, *, may_have_lines: bool = False) -> bool:
    """Whether the text holds a character that could hide or reverse text, or forge another line.

    ``may_have_lines``: line ends and tabs are allowed.
    """
    return first_unprintable(text, may_have_lines=may_have_lines) is not None


def first_unprintable(text: str, *, may_have_lines: bool = False) -> str | None:
    """Return the first such character, None when there is none."""
    if text.isascii() and text.isprintable():
        return None
    allowed = _LINES if may_have_lines else ""
    return next(
        (one for one in text if unicodedata.category(one) in _UNPRINTABLE and one not in allowed), None
    )
