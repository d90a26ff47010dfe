"""Filters of records and collections: fixed choices only, because listing what there is would read it all."""

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
    """Keeps the rows whose field has the chosen value; anything else that is asked for is ignored."""

    choices_of_field: Iterable[tuple[Any, str | Promise]] = ()

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Offer the fixed choices."""
        return [(str(value), label) for value, label in self.choices_of_field]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep the rows with the chosen value."""
        for value, _label in self.choices_of_field:
            if self.value() == str(value):
                return queryset.filter(**{str(self.parameter_name): value})
        return queryset


class ActionFilter(ChoiceFilter):
    """By action."""

    title = _("action")
    parameter_name = "action"
    choices_of_field = Action.choices


class KindFilter(ChoiceFilter):
    """For records: names every value of what is not chosen, so that one index finds any choice."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep the rows with the chosen value."""
        chosen = super().queryset(request, queryset)
        if chosen is queryset:
            return queryset
        return chosen.filter(**{f"{name}__in": values for name, values in ANY_KIND.items()})


class RecordActionFilter(KindFilter, ActionFilter):
    """By action."""


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
    """By where a collection stands."""

    title = _("status")
    parameter_name = "status"
    choices_of_field = CollectionStatus.choices


class PriorityFilter(ChoiceFilter):
    """By who goes first."""

    title = _("priority")
    parameter_name = "priority"
    choices_of_field = Priority.choices


class ErrorFilter(ChoiceFilter):
    """By why it failed for good; only failed ones are looked through, which an index finds."""

    title = _("error")
    parameter_name = "error_code"
    choices_of_field = CollectionError.choices

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep the failed collections with the chosen reason."""
        chosen = super().queryset(request, queryset)
        return chosen if chosen is queryset else chosen.filter(status=CollectionStatus.FAILED)
