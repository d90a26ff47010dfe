"""Texts that people read: how a list of them is joined, and which characters a page or a log may show.

The rule about characters is one for texts that users enter, files hold or clients send.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable

from django.utils.translation import gettext, gettext_noop

# Control, format (they can reverse or hide text), surrogate, and line and paragraph separators.
_UNPRINTABLE = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_LINES = "\n\r\t"


def has_unprintable(text: str, *, may_have_lines: bool = False) -> bool:
    """Whether the text holds a character that could hide or reverse text, or forge another line.

    ``may_have_lines``: line ends and tabs are allowed.
    """
    return first_unprintable(text, may_have_lines=may_have_lines) is not None


def first_unprintable(text: str, *, may_have_lines: bool = False) -> str | None:
    """Return the first such character, None when there is none."""
    if text.isascii() and text.isprintable():
        return None
    allowed = _LINES if may_have_lines else ""
    return next(
        (one for one in text if unicodedata.category(one) in _UNPRINTABLE and one not in allowed), None
    )


def list_text(items: Iterable[object], translate: Callable[[str], str] = gettext) -> str:
    """Return a list of short texts, joined as in the current language."""
    return _joined(items, gettext_noop("%(first)s, %(rest)s"), translate)


def clauses_text(items: Iterable[object]) -> str:
    """Return a list of clauses, which may have commas, joined as in the current language."""
    return _joined(items, gettext_noop("%(first)s; %(rest)s"), gettext)


def sentences_text(items: Iterable[object]) -> str:
    """Return whole sentences in a row, as in the current language: Chinese has no space between them."""
    return _joined(items, gettext_noop("%(first)s %(rest)s"), gettext)


def facts_text(facts: Iterable[object]) -> str:
    """Return what makes one heading, such as a data set and its period, with the comma of the language."""
    return _joined(facts, gettext_noop("%(first)s, %(second)s"), gettext)


def labelled(label: object, text: object) -> str:
    """Return a text behind its label, with the colon of the current language."""
    return gettext("%(label)s: %(text)s") % {"label": label, "text": text}


def percent_text(number: str) -> str:
    """Return a number of per cent with its sign: Chinese has no space before it."""
    return gettext("%(number)s %%") % {"number": number}


def quoted(text: str, *, limit: int) -> str:
    """Return any text for use in a message: quoted, cut to ``limit`` characters, on one line, printable."""
    shown = gettext("'%(text)s'") % {"text": repr(text[:limit])[1:-1]}
    return shown if len(text) <= limit else f"{shown}..."


def _joined(items: Iterable[object], template: str, translate: Callable[[str], str]) -> str:
    *firsts, last = [*map(str, items)] or [""]
    text = last
    for item in reversed(firsts):
        text = translate(template) % {"first": item, "rest": text, "second": text}
    return text
