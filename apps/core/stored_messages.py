"""Texts for people that are stored: a code and parameters, put into words when somebody reads them.

A document holds the English text in one field, for the API's English, the log and older processes. A second
field, named like the first and ``_parts``, holds ``{"code": …, "parameters": {…}}``. Text that has no code,
such as what another system said, is stored and shown as it is; its parts are null.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from django.utils.translation import gettext

MAX_CHARACTERS = 500  # of a stored text, and of a text among its parameters


class Message(str):
    """The English text of a message; ``parts`` are its code and parameters, as they are stored."""

    __slots__ = ("parts",)
    parts: dict[str, Any]


class Messages:
    """The messages that one kind of document stores in a field, by their codes."""

    def __init__(self, field: str) -> None:
        self._field, self._parts_field = field, f"{field}_parts"
        self._templates: dict[str, str] = {}

    def register(self, code: str, template: str) -> Callable[..., Message]:
        """Add a message, marked for translation where it is written; the result makes it from parameters.

        Stored documents hold the code: another meaning or other parameters need a new one.
        """
        self._templates[code] = template
        return partial(_make, code, template)

    def stored(self, text: str) -> dict[str, Any]:
        """Return both fields as they are stored, the text cut to ``MAX_CHARACTERS``."""
        parts = text.parts if isinstance(text, Message) else None
        return {self._field: str(text)[:MAX_CHARACTERS], self._parts_field: parts}

    def shown(self, document: Mapping[str, Any]) -> str:
        """Return the text of a document in the reader's language; never raises for what is stored.

        The stored text is returned when its parts are missing, unknown, or make another English text. An
        older process replaces the text alone, and leaves the parts of the former text beside it.
        """
        text: str = document[self._field]
        parts: Any = document.get(self._parts_field)
        try:
            code, parameters = parts["code"], parts["parameters"]
            template = self._templates[code]
            if _make(code, template, **parameters) == text:
                return str(_make(code, gettext(template), **parameters))
        except (KeyError, TypeError, ValueError, ArithmeticError):
            pass
        return text


def _make(code: str, template: str, /, **parameters: Any) -> Message:
    bounded = {name: _bounded(value) for name, value in parameters.items()}
    message = Message((template % bounded)[:MAX_CHARACTERS])
    message.parts = {"code": code, "parameters": bounded}
    return message


def _bounded(value: Any) -> Any:
    return value if isinstance(value, int | float) else str(value)[:MAX_CHARACTERS]
