"""Patterns of the texts that requests may have, read as Unicode (the mode ``u``), as JSON Schema does."""

from __future__ import annotations

# As in apps/core/printable.py: control, format, line and paragraph separators. JSON has no lone surrogates.
_HIDDEN = r"\p{Cc}\p{Cf}\p{Zl}\p{Zp}"
_ANY, _EDGE = f"[^{_HIDDEN}]", rf"[^\s{_HIDDEN}]"

PRINTABLE = f"^{_ANY}+$"
UNPADDED = f"^{_EDGE}({_ANY}*{_EDGE})?$"  # without white space at its ends
OF_PASSWORDS = r"^[^\u0000]+$"
CURSOR = "^[A-Za-z0-9_=-]+$"


def trimmed(shortest: int, longest: int | None) -> str:
    """Return the pattern of texts of so many characters, and white space around them that does not count."""
    most = "" if longest is None else longest - 2
    inner = f"{_EDGE}{_ANY}{{{max(0, shortest - 2)},{most}}}{_EDGE}"
    if shortest < 2:  # noqa: PLR2004 - one character is both of its ends
        inner = f"({_EDGE}|{inner})"
    return rf"^[\p{{Zs}}]*{inner}[\p{{Zs}}]*$"
