"""The choices of a select, and the data set that is chosen in one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.utils.translation import gettext as _

from apps.core.errors import InvalidInput
from apps.core.printable import list_text
from apps.mengla.choices import Action


def with_value(choices: Iterable[tuple[str, Any]], value: str, name: str) -> list[tuple[str, Any]]:
    """Return the choices with this value, so that the select can show it, known or not."""
    known = list(choices)
    return known if not value or value in dict(known) else [*known, (value, name)]


def read_action(text: str) -> Action:
    """Read the data set.

    :raises InvalidInput: when there is no such data set.
    """
    if text not in Action.values:
        raise InvalidInput(_("There is no such data set. Use one of: %s.") % list_text(Action.values))
    return Action(text)
