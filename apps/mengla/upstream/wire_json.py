"""Parses the collection service's JSON, also where its writer was less strict than the standard.

Values that MongoDB or JSON cannot hold are replaced by one rule, and the log says how often: NaN, Infinity
and numbers too large for a double become null; an integer beyond 64 bits (signed) becomes the text of its
digits; half of a surrogate pair becomes U+FFFD. A byte order mark is ignored, and UTF-16 and UTF-32 are
recognized.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from typing import Any

import orjson
import structlog

logger = structlog.get_logger(__name__)

MIN_INTEGER, MAX_INTEGER = -(2**63), 2**63 - 1  # what BSON can hold
_MAX_DIGITS = 19  # of such an integer
# orjson would turn a larger integer into a float without an error.
_LONG_NUMBER_IN_TEXT = re.compile(r"[0-9]{19}")
# The same for bytes, a tenth of the time of a regular expression: every digit becomes a zero first.
_LONG_NUMBER = b"0" * 19
_ZEROS_FOR_DIGITS = bytes.maketrans(b"123456789", b"000000000")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_MAYBE_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]|[\ud800-\udfff]")
_CONSTANTS = ("NaN", "Infinity", "-Infinity")


class NotJSON(ValueError):
    """The text is not JSON, or it is nested too deeply to be read."""


def loads(source: bytes | str) -> Any:
    """Parse JSON in any of the Unicode encodings.

    :raises NotJSON: when it is not JSON.
    """
    if not _may_hold_long_number(source):
        try:
            return orjson.loads(source)
        except orjson.JSONDecodeError:
            pass  # it may be one of the forms that only the parser below reads
    try:
        return _loads_tolerantly(source if isinstance(source, str) else unicode_text(source))
    except (ValueError, RecursionError) as error:
        raise NotJSON(str(error)) from error


def _may_hold_long_number(source: bytes | str) -> bool:
    if isinstance(source, bytes):
        return _LONG_NUMBER in source.translate(_ZEROS_FOR_DIGITS)
    return _LONG_NUMBER_IN_TEXT.search(source) is not None


def unicode_text(raw: bytes) -> str:
    """Decode the bytes of a JSON text, whose first bytes tell its Unicode encoding.

    :raises UnicodeDecodeError: when they are not valid in it.
    """
    return raw.decode(json.detect_encoding(raw), "surrogatepass")


def _loads_tolerantly(text: str) -> Any:
    text = text.removeprefix("\ufeff")
    if text.strip() in _CONSTANTS:
        raise ValueError("nothing but NaN or Infinity")
    replaced: Counter[str] = Counter()

    def constant(_name: str) -> None:
        replaced["non_finite_count"] += 1

    def number(digits: str) -> float | None:
        value = float(digits)
        if math.isfinite(value):
            return value
        constant(digits)
        return None

    def integer(digits: str) -> int | str:
        # The length first: Python refuses to convert very long numbers.
        if len(digits.lstrip("-")) <= _MAX_DIGITS and MIN_INTEGER <= (value := int(digits)) <= MAX_INTEGER:
            return value
        replaced["big_integer_count"] += 1
        return digits

    value = json.loads(text, parse_constant=constant, parse_float=number, parse_int=integer)
    if _MAYBE_SURROGATE.search(text):
        value = _without_surrogates(value, replaced)
    if replaced:
        logger.warning("answer_values_replaced", **replaced)
    return value


def _without_surrogates(value: Any, replaced: Counter[str]) -> Any:
    if isinstance(value, str):
        if _SURROGATE.search(value) is None:
            return value
        replaced["surrogate_text_count"] += 1
        # Two halves that belong together become one character, any other becomes U+FFFD.
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, list):
        return [_without_surrogates(one, replaced) for one in value]
    if isinstance(value, dict):
        return {
            _without_surrogates(name, replaced): _without_surrogates(one, replaced)
            for name, one in value.items()
        }
    return value
