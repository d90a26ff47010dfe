"""Filters of records and collections.

The choices are fixed: to list the values in use would read the whole MongoDB collection.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from apps.mengla.choices import GRANULARITIES, Action, CollectionError, CollectionStatus, Priority
from apps.mengla.models import ANY_KIND


class ChoiceFilter(admin.SimpleListFilter):
    """Filters by the value of one field; a value that is not one of the choices is ignored."""

    choices_of_field: Iterable[tuple[Any, str | Promise]] = ()

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return the fixed choices."""
        return [(str(value), label) for value, label in self.choices_of_field]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows with the chosen value."""
        for value, _label in self.choices_of_field:
            if self.value() == str(value):
                return queryset.filter(**{str(self.parameter_name): value})
        return queryset


class ActionFilter(ChoiceFilter):
    """By data set."""

    title = _("data set")
    parameter_name = "action"
    choices_of_field = Action.choices


class KindFilter(ChoiceFilter):
    """A filter of records; it names all values of the other fields, so that one index serves any choice."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows with the chosen value."""
        chosen = super().queryset(request, queryset)
        if chosen is queryset:
            return queryset
        return chosen.filter(**{f"{name}__in": values for name, values in ANY_KIND.items()})


class RecordActionFilter(KindFilter, ActionFilter):
    """By data set."""


class GranularityFilter(KindFilter):
    """By granularity."""

    title = _("granularity")
    parameter_name = "granularity"
    choices_of_field = GRANULARITIES


class EmptyFilter(KindFilter):
    """By whether there are figures."""

    title = _("is empty")
    parameter_name = "is_empty"
    choices_of_field = ((True, _("Empty")), (False, _("With figures")))


class StatusFilter(ChoiceFilter):
    """By the status of a collection."""

    title = _("status")
    parameter_name = "status"
    choices_of_field = CollectionStatus.choices


class PriorityFilter(ChoiceFilter):
    """By the priority of a collection."""

    title = _("priority")
    parameter_name = "priority"
    choices_of_field = Priority.choices


class ErrorFilter(ChoiceFilter):
    """By the final error of a collection; only failed collections match, which an index finds."""

    title = _("error")
    parameter_name = "error_code"
    choices_of_field = CollectionError.choices

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the failed collections with the chosen error."""
        chosen = super().queryset(request, queryset)
        return chosen if chosen is queryset else chosen.filter(status=CollectionStatus.FAILED)
