"""Checks free-form JSON that clients send: MongoDB and our responses must keep it exactly."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

_INTEGER_BITS = 64
# MongoDB reserves dollars, dots and NUL in names; lone surrogates cannot be encoded.
_NAME = re.compile(r"[^$.\x00\ud800-\udfff][^.\x00\ud800-\udfff]*")
_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")


def is_plain(value: Any, *, depth: int) -> bool:
    """Whether MongoDB stores the value unchanged, and it is nested no deeper than ``depth`` levels."""
    if isinstance(value, Mapping):
        return depth > 0 and all(
            isinstance(name, str) and _NAME.fullmatch(name) and is_plain(inner, depth=depth - 1)
            for name, inner in value.items()
        )
    if isinstance(value, list):
        return depth > 0 and all(is_plain(inner, depth=depth - 1) for inner in value)
    if isinstance(value, str):
        return _UNSTORABLE.search(value) is None
    if isinstance(value, bool) or value is None:
        return True
    if isinstance(value, int):
        return value.bit_length() < _INTEGER_BITS
    return isinstance(value, float) and math.isfinite(value)
