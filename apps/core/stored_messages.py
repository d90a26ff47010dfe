"""Stored texts for people: a code and parameters, translated when they are shown.

A document holds the English text in one field, for the API in English, the log and older processes. A second
field, with the suffix ``_parts``, holds ``{"code": …, "parameters": {…}}``. A text without a code, such as
the message of another system, is stored and shown unchanged; its parts are null.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from django.utils.translation import gettext, override

from apps.core.time_texts import duration_text

_SECONDS = "_seconds"
MAX_CHARACTERS = 500  # of a stored text, and of a text among its parameters


class Message(str):
    """The English text of a message; ``parts`` holds its code and parameters as they are stored."""

    __slots__ = ("parts",)
    parts: dict[str, Any]


class Messages:
    """The messages that one kind of document stores in a field, by their codes."""

    def __init__(self, field: str) -> None:
        self._field, self._parts_field = field, f"{field}_parts"
        self._templates: dict[str, str] = {}

    def register(self, code: str, template: str) -> Callable[..., Message]:
        """Add a message; returns a function that makes the message from its parameters.

        The caller marks the template for translation. For a number ``lasted_seconds`` the template may also
        have ``lasted``, the duration as text in the language of the reader.

        Stored documents contain the code, so a change of the meaning or of the parameters needs a new code.
        """
        self._templates[code] = template
        return partial(_make, code, template)

    def stored(self, text: str) -> dict[str, Any]:
        """Return both fields of the document, with the text cut to ``MAX_CHARACTERS``."""
        parts = text.parts if isinstance(text, Message) else None
        return {self._field: str(text)[:MAX_CHARACTERS], self._parts_field: parts}

    def shown(self, document: Mapping[str, Any]) -> str:
        """Return the text of a document in the current language; no stored content raises an error.

        The stored text is returned unchanged when its parts are missing or unknown, or do not make this text:
        an older process replaces only the text, and leaves the parts of the previous text beside it.
        """
        text: str = document[self._field]
        parts: Any = document.get(self._parts_field)
        try:
            code, parameters = parts["code"], parts["parameters"]
            template = self._templates[code]
            if _make(code, template, **parameters) == text:
                return _format(gettext(template), parameters)
        except (KeyError, TypeError, ValueError, ArithmeticError):
            pass
        return text


def _make(code: str, template: str, /, **parameters: Any) -> Message:
    bounded = {name: _bounded(value) for name, value in parameters.items()}
    with override("en"):
        message = Message(_format(template, bounded))
    message.parts = {"code": code, "parameters": bounded}
    return message


def _format(template: str, parameters: Mapping[str, Any]) -> str:
    durations = {
        name.removesuffix(_SECONDS): duration_text(value)
        for name, value in parameters.items()
        if name.endswith(_SECONDS)
    }
    return (template % {**parameters, **durations})[:MAX_CHARACTERS]


def _bounded(value: Any) -> Any:
    return value if isinstance(value, int | float) else str(value)[:MAX_CHARACTERS]
