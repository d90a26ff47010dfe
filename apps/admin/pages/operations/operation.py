"""What an operation of the page is: what it says first, what it does, and the right that it needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from django.http import HttpRequest, QueryDict
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from apps.auth.permissions import Needs
from apps.core.admin_base.rights import may
from apps.core.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Choice:
    """A group of checkboxes: the name of the input, its label, and the values with their labels."""

    name: str
    label: str
    options: list[tuple[str, str | Promise]]


@dataclass(frozen=True, slots=True)
class Question:
    """What a confirmation page says: sentences, facts with their labels, and what the user may choose."""

    texts: list[str]
    facts: list[tuple[str, str]] = field(default_factory=list)
    choices: list[Choice] = field(default_factory=list)
    limit: int | None = None  # the default of a number to give
    word: str = ""  # must be typed
    is_needed: bool = True  # false if there is nothing to do


@dataclass(frozen=True, slots=True)
class Done:
    """What an operation did, for the user and the history; ``run_id`` is the run that it started.

    The message is a :class:`~apps.core.stored_messages.Message` for the history. Any other text says why
    nothing changed, and the history does not get it.
    """

    message: str
    run_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation. ``ask`` reads what the page says; ``run`` gets the form and the user."""

    slug: str
    section: Promise
    label: Promise
    needs: Needs
    ask: Callable[[], Question]
    run: Callable[[QueryDict, str], Done]
    is_danger: bool = False
    is_cancelling: bool = False  # then the other button cannot be called "Cancel"


def may_do(request: HttpRequest, needs: Needs) -> bool:
    """Whether the user has all permissions that the change needs; they are those of the API."""
    return all(may(request, permission) for permission in needs.every)


def chosen_of(given: QueryDict, name: str, known: Iterable[str]) -> list[str]:
    """Return the checked values of a :class:`Choice`.

    :raises InvalidInput: when none is checked, or an unknown one.
    """
    chosen = given.getlist(name)
    if not chosen or not set(chosen) <= set(known):
        message = _("Choose at least one of the list.")
        raise InvalidInput(message, fields={name: [message]})
    return chosen


def number_text(count: int) -> str:
    """Return a number with separated thousands."""
    return f"{count:,}"
