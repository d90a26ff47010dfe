"""Stored texts for people: a code and parameters, translated when they are shown.

A document holds the English text in one field, for the API in English, the log and older processes. A second
field, with the suffix ``_parts``, holds ``{"code": …, "parameters": {…}}``. A text without a code, such as
the message of another system, is stored and shown unchanged; its parts are null.

Most parameters are data: numbers, names. A parameter may also be text that is translated itself: another
message, stored as its parts; a lazy translation such as the label of a choice, stored as
``{"source": its English text}``; or a tuple of these, stored as ``{"items": [...]}`` and shown as a list.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import nullcontext
from functools import partial
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext, override

from apps.core.printable import list_text
from apps.core.time_texts import duration_text, stored_period_text

# A parameter with such an ending is data; the template may also have its text, under the name without it.
_TEXT_OF_ENDING: Mapping[str, Callable[[Any], str]] = {
    "_seconds": duration_text,
    "_period": stored_period_text,
}
MAX_CHARACTERS = 500  # of a stored text, and of a text among its parameters


class Message(str):
    """The English text of a message; ``parts`` holds its code and parameters as they are stored."""

    __slots__ = ("parts",)
    parts: dict[str, Any]


class Messages:
    """The messages that one kind of document stores in a field, by their codes."""

    def __init__(self, field: str) -> None:
        self._field, self._parts_field = field, f"{field}_parts"
        self._templates: dict[str, str | Promise] = {}
        self._words: dict[str, Collection[str]] = {}

    def register(
        self, code: str, template: str | Promise, *, words: Collection[str] = ()
    ) -> Callable[..., Message]:
        """Add a message; returns a function that makes the message from its parameters.

        The caller marks the template for translation: with ``gettext_noop``, or with ``ngettext_lazy`` and
        the name of the parameter that decides between singular and plural. Stored documents contain the
        code, so a change of the meaning or of the parameters needs a new code.

        For a number ``lasted_seconds`` the template may also have ``lasted``, the duration as text; for a
        stored period ``run_period`` also ``run``, the period as text.

        :param words: the parameters whose values, which the caller marks, are always translated.
        :raises ValueError: when another message has this code.
        """
        if self._templates.setdefault(code, template) is not template:
            raise ValueError(f"Two messages have the code {code!r}.")
        self._words[code] = words
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
            if self._text_of(parts, _same) == text:
                return self._text_of(parts, gettext)
        except (KeyError, TypeError, ValueError, ArithmeticError, RecursionError):
            pass
        return text

    def translated(self, text: str) -> str:
        """Return a message that was just made in the current language; other text is returned unchanged."""
        return self.shown(self.stored(text))

    def _text_of(self, parts: Any, translate: Callable[[str], str]) -> str:
        """Return the text of parts: in English if ``translate`` returns its argument.

        :raises KeyError, TypeError, ValueError, ArithmeticError, RecursionError: when the parts are invalid.
        """
        template = self._templates[parts["code"]]
        given = {name: self._value_of(value, translate) for name, value in dict(parts["parameters"]).items()}
        for name in self._words[parts["code"]]:
            given[name] = translate(given[name]) if given[name] else ""  # "" has the catalogue's header
        return _filled(template, given, translate)

    def _value_of(self, value: Any, translate: Callable[[str], str]) -> Any:
        if not isinstance(value, dict):
            return _bounded(value)
        if "source" in value:
            return translate(_bounded(value["source"]))
        if "items" in value:
            return _listed([self._value_of(one, translate) for one in value["items"]], translate)
        return self._text_of(value, translate)


def _make(code: str, template: str | Promise, /, **parameters: Any) -> Message:
    stored, given = {}, {}
    for name, value in parameters.items():
        stored[name], given[name] = _stored(value), _bounded(value)
    message = Message(_filled(template, given, _same))
    message.parts = {"code": code, "parameters": stored}
    return message


def _filled(template: str | Promise, given: Mapping[str, Any], translate: Callable[[str], str]) -> str:
    with override(None) if translate is _same else nullcontext():  # the source is English
        text = translate(template) if isinstance(template, str) else template
        return str(text % {**given, **_texts_of(given)})[:MAX_CHARACTERS]


def _texts_of(given: Mapping[str, Any]) -> dict[str, str]:
    return {
        name.removesuffix(ending): text_of(value)
        for ending, text_of in _TEXT_OF_ENDING.items()
        for name, value in given.items()
        if name.endswith(ending)
    }


def _stored(value: Any) -> Any:
    if isinstance(value, Message):
        return value.parts
    if isinstance(value, tuple):
        return {"items": [_stored(one) for one in value]}
    bounded = _bounded(value)
    return {"source": bounded} if isinstance(value, Promise) else bounded


def _listed(items: list[Any], translate: Callable[[str], str]) -> str:
    return list_text(items, translate)[:MAX_CHARACTERS]


def _same(text: str) -> str:
    return text


def _bounded(value: Any) -> Any:
    if isinstance(value, int | float):
        return value
    if isinstance(value, tuple):
        return _listed([_bounded(one) for one in value], _same)
    if isinstance(value, Promise):
        with override(None):  # the source is English
            value = str(value)
    return str(value)[:MAX_CHARACTERS]


# What the entries of the admin's history say. Apps register theirs beside the operations that make them.
HISTORY = Messages("text")
_NAME = HISTORY.register("name", "%(name)s")
_NAME_AND_DETAIL = HISTORY.register("name_and_detail", "%(name)s %(detail)s")
_NAME_AND_PERIOD = HISTORY.register("name_and_period", "%(name)s %(its)s")


def name_in_history(name: str | Promise, detail: str = "", *, period: str = "") -> Message:
    """Return the name of a row for the history: ``name`` is lazy if it is translated, ``detail`` is data.

    ``period`` is a period as a run stores it, in place of the detail.
    """
    if period:
        return _NAME_AND_PERIOD(name=name, its_period=period)
    return _NAME_AND_DETAIL(name=name, detail=detail) if detail else _NAME(name=name)
