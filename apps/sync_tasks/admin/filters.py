"""The filter of runs by how they ended."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from apps.sync_tasks.choices import Outcome, RunStatus
from apps.sync_tasks.models import SyncTask


class OutcomeFilter(admin.SimpleListFilter):
    """By outcome; each choice has an index."""

    title = _("outcome")
    parameter_name = "outcome"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return the outcomes."""
        return list(Outcome.choices)

    def queryset(self, request: HttpRequest, queryset: QuerySet[SyncTask]) -> QuerySet[SyncTask]:
        """Return the runs with the chosen outcome."""
        chosen = self.value()
        if chosen == Outcome.COMPLETED:
            return queryset.filter(status=RunStatus.COMPLETED.value, totals__failed=0)
        if chosen == Outcome.COMPLETED_WITH_FAILURES:
            return queryset.filter(status=RunStatus.COMPLETED.value, totals__failed__gt=0)
        if chosen in Outcome.values:
            return queryset.filter(status=RunStatus(str(chosen).upper()).value)
        return queryset
