"""Checks free-form JSON that clients send: MongoDB and our responses must keep it exactly."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from apps.core.printable import has_unprintable

_NUMBERS_BELOW = 2**63  # larger integers are parsed as floats, and two of them may become the same
_NAME = re.compile(r"[^$.][^.]*", re.DOTALL)  # MongoDB reserves dollars and dots in names


def is_plain(value: Any, *, depth: int) -> bool:
    """Whether MongoDB stores the value unchanged, a page can show it, and it has at most ``depth`` levels.

    Names and texts are printable (:mod:`apps.core.printable`); texts may have several lines. Numbers are
    smaller than 2^63, whether positive or negative, whole or not.
    """
    if isinstance(value, Mapping):
        return depth > 0 and all(
            isinstance(name, str)
            and _NAME.fullmatch(name)
            and not has_unprintable(name)
            and is_plain(inner, depth=depth - 1)
            for name, inner in value.items()
        )
    if isinstance(value, list):
        return depth > 0 and all(is_plain(inner, depth=depth - 1) for inner in value)
    if isinstance(value, str):
        return not has_unprintable(value, may_have_lines=True)
    if isinstance(value, bool) or value is None:
        return True
    return isinstance(value, int | float) and abs(value) < _NUMBERS_BELOW  # false for NaN
