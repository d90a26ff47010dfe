"""The names in the collection service's JSON, and functions that read and show its values safely."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.translation import gettext_noop

from apps.mengla.choices import Action

LIST_KEYS: Mapping[Action, str] = {
    Action.HIGH: "highList",
    Action.HOT: "hotList",
    Action.CHANCE: "chanceList",
    Action.INDUSTRY_VIEW: "industryViewV2List",
    Action.INDUSTRY_TREND: "industryTrendRange",
}
WRAPPER_KEYS = ("resultData", "data")
RESULT_KEYS = frozenset({*WRAPPER_KEYS, *LIST_KEYS.values()})
ERROR_KEYS = ("error", "message", "errorMessage", "msg")

MAX_WRAPPERS = 10
MAX_ERROR_CHARACTERS = 500
MAX_SHOWN_CHARACTERS = 60
MAX_EXECUTION_ID_CHARACTERS = 128  # the length of the collection's field
MAX_INTEGER_BITS = 64  # a much larger integer cannot be turned into text: Python raises


def wrapped(node: Mapping[str, Any]) -> object:
    """Return the first value of a wrapper key that is not null, None without one."""
    return next((node[key] for key in WRAPPER_KEYS if node.get(key) is not None), None)


def error_text(levels: Sequence[Mapping[str, Any]], keys: Sequence[str] = ERROR_KEYS) -> str | None:
    """Return the first error text in the objects, also as ``error.message``; None without one."""
    for level in levels:
        for key in keys:
            value = level.get(key)
            if isinstance(value, dict):
                value = value.get("message")
            text = _clean(value, MAX_ERROR_CHARACTERS) if isinstance(value, str) else ""
            if text:
                return text
    return None


def scalar_text(value: object) -> str | None:
    """Return a short text, or an integer as text; None for anything else and for blank text."""
    if is_plain_integer(value):
        return str(value)
    return (_clean(value, MAX_SHOWN_CHARACTERS) or None) if isinstance(value, str) else None


def execution_id_in(level: Mapping[str, Any]) -> str | None:
    """Return the execution id in an object, None when it has none.

    It has the same form in responses and in webhooks. Text that is not printable is no id: the service never
    issues such ids, and MongoDB would refuse some of them.
    """
    for value in (level.get("executionId"), level.get("execution_id")):
        text = str(value) if is_plain_integer(value) else value
        stripped = text.strip() if isinstance(text, str) else ""
        if stripped and stripped.isprintable():
            return stripped[:MAX_EXECUTION_ID_CHARACTERS]
    return None


def is_plain_integer(value: object) -> bool:
    """Return whether the value is an integer, not a boolean, of a size that can be shown."""
    return isinstance(value, int) and not isinstance(value, bool) and value.bit_length() <= MAX_INTEGER_BITS


def excerpt(text: str, limit: int) -> str:
    """Return the beginning of a foreign text, at most ``limit`` characters, the unprintable ones escaped."""
    shown = (one if one.isprintable() else one.encode("unicode_escape").decode() for one in text[:limit])
    return "".join(shown)[:limit]


def type_name(value: object) -> str:
    """Return the name of the value's JSON type, as the first words of a sentence, marked for translation."""
    names = {
        dict: gettext_noop("An object"),
        list: gettext_noop("A list"),
        str: gettext_noop("A text"),
        bool: gettext_noop("A boolean"),
        type(None): gettext_noop("Null"),
    }
    return names.get(type(value), gettext_noop("A number"))


def _clean(text: str, limit: int) -> str:
    # A lone surrogate is legal in JSON, but it can be neither stored nor logged.
    return text.strip()[:limit].encode("utf-8", "replace").decode()
