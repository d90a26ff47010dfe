"""The check of the filters in the address of a list: an unknown value must not select all rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.http import HttpRequest, HttpResponse
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from apps.core.admin_base.problem_page import problem_page
from apps.core.printable import sentences_text

MAX_SHOWN_CHARACTERS = 40


class UnknownFilter(Exception):
    """The address of a list has a filter or a page that does not exist; the text is for people."""


def unknown_value_text(title: str | Promise, value: str) -> str:
    """Say that a filter has no such value."""
    shown = value if len(value) <= MAX_SHOWN_CHARACTERS else f"{value[:MAX_SHOWN_CHARACTERS]}…"
    return _("The filter “%(filter)s” has no value “%(value)s”.") % {"filter": title, "value": shown}


def check_filters(request: HttpRequest, filters: list[Any]) -> None:
    """Refuse values that the filters of a list do not know, because Django would show all rows.

    A filter that takes other values than its choices has a method ``is_known``.

    :raises UnknownFilter: which names all of them.
    """
    problems = []
    for one in filters:
        is_known = _knower_of(one)
        for name in _names_of(one):
            values = [value for value in request.GET.getlist(name) if value.strip()]
            problems += [unknown_value_text(one.title, value) for value in values if not is_known(value)]
            if len(values) > 1 and isinstance(one, admin.SimpleListFilter):  # the last one would win
                problems.append(_("The filter “%(filter)s” is given several times.") % {"filter": one.title})
    if problems:
        raise UnknownFilter(sentences_text(problems))


def _names_of(one: Any) -> list[str]:
    if isinstance(one, admin.SimpleListFilter):
        return [str(one.parameter_name)]
    return [one.field_path, f"{one.field_path}__exact"]


def _knower_of(one: Any) -> Callable[[str], bool]:
    if hasattr(one, "is_known"):
        return one.is_known  # type: ignore[no-any-return]
    if isinstance(one, admin.SimpleListFilter | admin.AllValuesFieldListFilter):
        known = {str(choice[0] if isinstance(choice, tuple) else choice) for choice in one.lookup_choices}
    elif isinstance(one, admin.BooleanFieldListFilter):
        known = {"0", "1"}
    else:
        known = {str(value) for value, _label in one.field.flatchoices}
    return known.__contains__


class CheckedFilters(ChangeList):
    """A list that refuses unknown values of its filters, and pages that do not exist."""

    def __init__(self, request: HttpRequest, *arguments: Any, **named: Any) -> None:
        try:
            super().__init__(request, *arguments, **named)
        except IncorrectLookupParameters as error:  # Django would show all rows instead
            raise UnknownFilter(_("The list has no such page, or a filter has no such value.")) from error

    def get_filters(self, request: HttpRequest) -> Any:
        """Return the filters, as Django does, once they are checked."""
        found = super().get_filters(request)
        check_filters(request, found[0])
        return found


def unknown_filter_page(request: HttpRequest, error: UnknownFilter) -> HttpResponse:
    """Say what is wrong with the address of the list, with a link to the whole list."""
    way = (_("Show the whole list"), request.path)
    return problem_page(request, 400, _("Unknown filter"), str(error), way=way)
