"""Parsers of command-line arguments; a refused argument ends the command with one line and exit code 2."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, TypeVar

from django.utils.translation import gettext as _

from apps.core.errors import InvalidInput
from apps.core.printable import list_text, quoted

T = TypeVar("T")

_MAX_DIGITS = 18
_SHOWN_CHARACTERS = 40


class _StoreOnce(argparse._StoreAction):
    """Stores the value of an option; argparse would let the last one win."""

    _read: object = None

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        if self._read is namespace:
            raise argparse.ArgumentError(self, _("must not be given more than once"))
        self._read = namespace
        super().__call__(parser, namespace, values, option_string)


def accept_each_once(parser: argparse.ArgumentParser) -> None:
    """Refuse an option with one value that is given twice, also one of the subcommands."""
    for action in parser._actions:
        if type(action) is argparse._StoreAction and action.option_strings:
            action.__class__ = _StoreOnce
        elif isinstance(action, argparse._SubParsersAction):
            for subparser in action.choices.values():
                accept_each_once(subparser)


def argument(parse: Callable[[str], T]) -> Callable[[str], T]:
    """Wrap a parser that raises :class:`InvalidInput` for use by argparse."""

    def parse_argument(text: str) -> T:
        try:
            return parse(text)
        except InvalidInput as error:
            raise argparse.ArgumentTypeError(error.message) from error

    return parse_argument


def one_of(names: Callable[[], list[str]]) -> Callable[[str], str]:
    """Return a parser that accepts one of the names, exactly as spelled."""

    def parse_name(text: str) -> str:
        known = names()
        if text in known:
            return text
        values = {"text": shown(text), "names": list_text(known)}
        raise argparse.ArgumentTypeError(_("%(text)s is unknown: use one of %(names)s") % values)

    return parse_name


def whole_number(minimum: int, maximum: int) -> Callable[[str], int]:
    """Return a parser that accepts a whole number within these limits."""

    def parse_number(text: str) -> int:
        is_number = text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS
        if not (is_number and minimum <= int(text) <= maximum):
            values = {"text": shown(text), "minimum": minimum, "maximum": maximum}
            raise argparse.ArgumentTypeError(
                _("%(text)s is not a whole number from %(minimum)d to %(maximum)d") % values
            )
        return int(text)

    return parse_number


def shown(text: str) -> str:
    """Return the text for use in a message: short, on one line, printable."""
    return quoted(text, limit=_SHOWN_CHARACTERS)
