"""Filters of records and collections.

The choices are fixed: to list the values in use would read the whole MongoDB collection.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from bson import ObjectId
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from apps.core import market_clock
from apps.core.storage.mongo import utc_now
from apps.mengla.choices import GRANULARITIES, Action, CollectionError, CollectionStatus, Priority
from apps.mengla.models import ANY_COLLECTION, ANY_KIND, EPOCH
from apps.mengla.monitoring.hourly import HOUR_FORMAT, SHOWN_HOURS, parse_ended

_ANSWERED = (CollectionStatus.SUCCEEDED, CollectionStatus.EMPTY)
_ENDED = (*_ANSWERED, CollectionStatus.FAILED, CollectionStatus.CANCELLED)


class ChoiceFilter(admin.SimpleListFilter):
    """Filters by the value of one field; the list refuses a value that is not one of the choices."""

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


class KindFilter(ChoiceFilter):
    """A filter that names all values of the other fields of an index, which then serves any choice.

    The index has all these fields, then the order of the list; ``any_kind`` has all values of each of them.
    """

    any_kind: Mapping[str, Sequence[Any]] = {}

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows with the chosen value."""
        chosen = super().queryset(request, queryset)
        if chosen is queryset:
            return queryset
        return chosen.filter(**{f"{name}__in": values for name, values in self.any_kind.items()})


class GranularityFilter(KindFilter):
    """By granularity."""

    title = _("granularity")
    parameter_name = "granularity"
    choices_of_field = GRANULARITIES
    any_kind = ANY_KIND


class EmptyFilter(KindFilter):
    """By whether there are figures."""

    title = _("is empty")
    parameter_name = "is_empty"
    choices_of_field = ((True, _("Empty")), (False, _("With figures")))
    any_kind = ANY_KIND


class ActionFilter(KindFilter):
    """By the data set of a collection."""

    title = _("data set")
    parameter_name = "action"
    choices_of_field = Action.choices
    any_kind = ANY_COLLECTION


class RecordActionFilter(ActionFilter):
    """By the data set of a record."""

    any_kind = ANY_KIND


class StatusFilter(KindFilter):
    """By the status of a collection."""

    title = _("status")
    parameter_name = "status"
    choices_of_field = CollectionStatus.choices
    any_kind = ANY_COLLECTION


class RunFilter(admin.SimpleListFilter):
    """By the sync task that asked for the collections: its id is typed, or is part of a link."""

    title = _("sync task ID")
    parameter_name = "run"
    template = "mengla/run_filter.html"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return one choice, because a filter without choices is not shown."""
        return [("", "")]

    def is_known(self, value: str) -> bool:
        """Whether the value can be the id of a run."""
        return ObjectId.is_valid(value.strip())

    def choices(self, changelist: Any) -> Any:
        """Return what the form sends besides the id, and the id."""
        others = changelist.get_filters_params()
        others.pop(self.parameter_name, None)
        yield {"query_string": changelist.get_query_string(remove=[self.parameter_name])}
        yield {
            "query_string": changelist.get_query_string(),
            "value": self.value() or "",
            "others": [(name, value) for name, values in others.items() for value in _each(values)],
        }

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the collections of the run."""
        given = (self.value() or "").strip()
        if not given:
            return queryset
        # With all values of the fields before its order, the index of the run grid merges a few ranges.
        return queryset.filter(
            run_ids__overlap=[given.lower()],
            status__in=ANY_COLLECTION["status"],
            action__in=ANY_COLLECTION["action"],
        )


def _each(values: Any) -> list[Any]:
    return values if isinstance(values, list) else [values]


class PriorityFilter(KindFilter):
    """By the priority of a collection."""

    title = _("priority")
    parameter_name = "priority"
    choices_of_field = Priority.choices
    any_kind = ANY_COLLECTION


class ErrorFilter(KindFilter):
    """By the final error of a collection; only failed collections match, which an index finds."""

    title = _("error")
    parameter_name = "error_code"
    choices_of_field = CollectionError.choices
    any_kind = ANY_COLLECTION | {"status": [CollectionStatus.FAILED.value]}


class OutcomeFilter(ChoiceFilter):
    """By how a collection ended; what needed no request to the service is no answer of it.

    The list is then in the order of the ends, which the indexes of ended collections have.
    """

    title = _("outcome")
    parameter_name = "outcome"
    choices_of_field = (
        ("answered", _("Answered")),
        *((one.value.lower(), one.label) for one in _ENDED),
    )

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the collections that ended so."""
        value = self.value()
        statuses = _ANSWERED if value == "answered" else [one for one in _ENDED if one.value.lower() == value]
        if not statuses:
            return queryset
        if set(statuses) <= set(_ANSWERED):
            queryset = queryset.filter(execution_id__gt="")
        return _ended(queryset.filter(status__in=[one.value for one in statuses]))


class EndedFilter(admin.SimpleListFilter):
    """By the hour in which a collection ended, or since when; the list is then in the order of the ends."""

    title = _("time of the end")
    parameter_name = "ended"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the last hours, the newest first; before them the chosen time, if it is another."""
        this_hour = utc_now().replace(minute=0, second=0, microsecond=0)
        hours = [this_hour - timedelta(hours=age) for age in range(SHOWN_HOURS)]
        shown = [
            (f"{began_at:{HOUR_FORMAT}}", f"{market_clock.local(began_at):%Y-%m-%d %H:%M}")
            for began_at in hours
        ]
        chosen = request.GET.get(self.parameter_name)
        ended = parse_ended(chosen)
        if ended is not None and ended[1] is None:
            since = f"{market_clock.local(ended[0]):%Y-%m-%d %H:%M}"
            shown.insert(0, (str(chosen), _now("Since %(time)s") % {"time": since}))
        return shown

    def is_known(self, value: str) -> bool:
        """Whether the value is a time: older ones than those of the choices are allowed."""
        return parse_ended(value) is not None

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows that ended in the chosen time."""
        ended = parse_ended(self.value())
        if ended is None:
            return queryset
        began_at, until = ended
        queryset = _ended(queryset).filter(finished_at__gte=began_at)
        return queryset if until is None else queryset.filter(finished_at__lt=until)


def is_by_end(request: HttpRequest) -> bool:
    """Whether a filter needs the order of the ends."""
    outcomes = {value for value, _label in OutcomeFilter.choices_of_field}
    is_known = request.GET.get(OutcomeFilter.parameter_name) in outcomes
    return is_known or parse_ended(request.GET.get(EndedFilter.parameter_name)) is not None


def _ended(queryset: QuerySet[Any]) -> QuerySet[Any]:
    """Return the rows that have ended, so that MongoDB may merge ranges of the index ``collection_ended``."""
    return queryset.filter(
        finished_at__gt=EPOCH,
        status__in=[one.value for one in _ENDED],
        action__in=ANY_COLLECTION["action"],
    )
