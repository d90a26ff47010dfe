"""Checks texts that users enter."""

from __future__ import annotations

import unicodedata

# Control, format (they can reverse or hide text), surrogate, and line and paragraph separators.
_UNPRINTABLE = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def has_unprintable(text: str) -> bool:
    """Whether the text holds a character that could hide or reverse text, or forge another line."""
    return any(unicodedata.category(character) in _UNPRINTABLE for character in text)
