"""The collections of a run, on the page of the run: counts, a filtered table, a timeline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pymongo
import structlog
from bson import ObjectId
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from pymongo.errors import PyMongoError

from apps.categories.selectors import CategoryNames, find_cat_ids
from apps.core.admin_base.filters import unknown_value_text
from apps.core.printable import sentences_text
from apps.core.storage.mongo import utc_now
from apps.core.time_texts import RANGE_SIGN, clock_text, duration_text, stored_period_text
from apps.mengla.admin.texts import category_text
from apps.mengla.choices import WARM_UP_TASK_ID, Action, CollectionStatus
from apps.mengla.monitoring import run_grid, run_timeline
from apps.mengla.monitoring.run_grid import REASONS, GridFilter, GridPage
from apps.sync_tasks.responses import register_section

logger = structlog.get_logger(__name__)

PAGE_SIZE = 50
# The page shows the rest even when the collections of a large run cannot be read in time.
_SECONDS = 3.0
_FILTERS = ("status", "action", "reason", "category")
_BOUNDS = ("after", "before")
_TITLES = {
    "status": gettext_noop("Status"),
    "action": gettext_noop("Data set"),
    "reason": gettext_noop("Reason"),
    "after": gettext_noop("After"),
    "before": gettext_noop("Before"),
}
_MAX_TEXT = 64
# Shapes, so that the status can be told without its colour.
SHAPES: dict[str, str] = {
    CollectionStatus.PENDING: "…",
    CollectionStatus.DISPATCHED: "▶",
    CollectionStatus.SUCCEEDED: "✓",
    CollectionStatus.EMPTY: "○",
    CollectionStatus.FAILED: "✕",
    CollectionStatus.CANCELLED: "–",
}
Facts = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What the query string of the page asks for; ``problem`` says which values are not known."""

    filters: dict[str, str]
    after: str
    before: str
    problem: str = ""

    @classmethod
    def of(cls, request: HttpRequest) -> _Wanted:
        given = {name: request.GET.get(name, "").strip()[:_MAX_TEXT] for name in (*_FILTERS, *_BOUNDS)}
        known: dict[str, Any] = {
            "status": CollectionStatus.values,
            "action": Action.values,
            "reason": dict(REASONS),
        }
        wrong = [name for name, values in known.items() if given[name] and given[name] not in values]
        wrong += [name for name in _BOUNDS if given[name] and not ObjectId.is_valid(given[name])]
        return cls(
            {name: given[name] for name in _FILTERS},
            after=given["after"],
            before=given["before"],
            problem=sentences_text(unknown_value_text(_(_TITLES[name]), given[name]) for name in wrong),
        )

    def grid_filter(self) -> GridFilter:
        category = self.filters["category"]
        return GridFilter(
            status=self.filters["status"],
            action=self.filters["action"],
            reason=self.filters["reason"],
            cat_ids=find_cat_ids(category) if category else None,
            after=ObjectId(self.after) if self.after else None,
            before=ObjectId(self.before) if self.before else None,
        )

    def address(self, **changes: str) -> str:
        """Return the query string for these filters with changes; a page begins anew unless it is given."""
        return self.address_of(**(self.filters | changes))

    @staticmethod
    def address_of(**values: str) -> str:
        """Return the query string for these filters alone."""
        return f"?{urlencode({name: value for name, value in values.items() if value})}#collections"


class RunGrid:
    """Adds the collections of a run to its page."""

    def page(self, request: HttpRequest, run: Mapping[str, Any]) -> str:
        """Return the section; empty for a run without collections."""
        if run["task_id"] == WARM_UP_TASK_ID:
            return ""
        wanted = _Wanted.of(request)
        choices = {
            "status": CollectionStatus.choices,
            "action": Action.choices,
            "reason": REASONS,
        }
        collections = reverse("admin:mengla_collection_changelist")
        facts = {
            "run_id": str(run["_id"]),
            "filters": wanted.filters,
            "is_filtered": any(wanted.filters.values()) or bool(wanted.problem),
            "choices": choices,
            "pieces": self.pieces(request, run),
            "timeline": _timeline_facts(run),
            "list_address": f"{collections}?run={run['_id']}",
        }
        return render_to_string("mengla/run_section.html", facts)

    def pieces(self, request: HttpRequest, run: Mapping[str, Any]) -> dict[str, str]:
        """Return the counts and the table, which are refreshed while the run is under way."""
        if run["task_id"] == WARM_UP_TASK_ID:
            return {}
        run_id, wanted = str(run["_id"]), _Wanted.of(request)
        try:
            with pymongo.timeout(_SECONDS):
                kinds = run_grid.count_kinds(run_id)
                facts = _kind_facts(kinds)
                if wanted.problem:
                    facts["problem"] = wanted.problem
                else:
                    grid = run_grid.grid_page(run_id, wanted.grid_filter(), limit=PAGE_SIZE)
                    facts |= _grid_facts(grid, wanted)
        except PyMongoError as error:
            logger.warning("run_grid_unavailable", run_id=run_id, error=type(error).__name__)
            facts = {"is_unavailable": True}
        facts["run_id"] = run_id
        return {
            "kinds": render_to_string("mengla/run_kinds.html", facts),
            "collections": render_to_string("mengla/run_collections.html", facts),
        }


def _kind_facts(kinds: Mapping[tuple[str, str], int]) -> Facts:
    """Return the table of the counts by data set and status; each number leads to its collections."""
    actions = [action for action in Action if any(kind[0] == action for kind in kinds)]
    rows = [
        {
            "name": action.label,
            "cells": [
                {
                    "count": kinds.get((action, status), 0),
                    "address": _Wanted.address_of(action=action.value, status=status.value),
                }
                for status in CollectionStatus
            ],
        }
        for action in actions
    ]
    totals = [sum(kinds.get((action, status), 0) for action in actions) for status in CollectionStatus]
    statuses = [
        {
            "name": status.label,
            "shape": SHAPES[status],
            "key": status.value,
            "count": total,
            "address": _Wanted.address_of(status=status.value),
        }
        for status, total in zip(CollectionStatus, totals, strict=True)
    ]
    return {"kinds": rows, "statuses": statuses, "total": sum(totals)}


def _grid_facts(grid: GridPage, wanted: _Wanted) -> Facts:
    names = CategoryNames(row.cat_id for row in grid.rows)
    rows = [
        {
            "id": row.id,
            "action": dict(Action.choices).get(row.action, row.action),
            "category": category_text(row.cat_id, names),
            "period": stored_period_text(f"{row.start_key}{RANGE_SIGN}{row.end_key}"),
            "status": row.status.label,
            "shape": SHAPES[row.status],
            "key": row.status.value,
            "attempts": row.attempts,
            "refusals": row.refusals,
            "duration": duration_text(row.seconds),
            "reason": row.reason_name,
            "message": row.message,
        }
        for row in grid.rows
    ]
    first, last = (grid.rows[0].id, grid.rows[-1].id) if grid.rows else ("", "")
    return {
        "rows": rows,
        "is_filtered": any(wanted.filters.values()),
        "first_address": wanted.address() if wanted.after or wanted.before else "",
        "earlier_address": wanted.address(before=first) if grid.has_earlier and first else "",
        "later_address": wanted.address(after=last) if grid.has_later and last else "",
    }


def _timeline_facts(run: Mapping[str, Any]) -> Facts | None:
    """Return the timeline as a chart and as the table of its numbers; None when nothing has ended yet."""
    end = run["finished_at"] or utc_now()
    try:
        with pymongo.timeout(_SECONDS):
            slots = run_timeline.timeline(str(run["_id"]), run["started_at"], end)
    except PyMongoError as error:
        logger.warning("run_timeline_unavailable", run_id=str(run["_id"]), error=type(error).__name__)
        return None
    if not any(slot.count for slot in slots):
        return None
    labels = [clock_text(slot.start, has_seconds=True) for slot in slots]
    series = (
        (_("Half took at most"), [slot.median_seconds for slot in slots], "two"),
        (_("95 of 100 took at most"), [slot.slow_seconds for slot in slots], "four"),
    )
    chart = {
        "kind": "line",
        "labels": labels,
        "axes": {"y": {"title": _("Seconds")}},
        "series": [
            {"name": name, "values": [None if one is None else round(one, 2) for one in values], "tone": tone}
            for name, values, tone in series
        ],
    }
    rows = [
        {
            "start": label,
            "count": slot.count,
            "failed": slot.failed,
            "is_sample": slot.sample < slot.count,
            "median": duration_text(slot.median_seconds),
            "slow": duration_text(slot.slow_seconds),
            "slowest": duration_text(slot.slowest_seconds),
            "slowest_id": slot.slowest_id,
        }
        for label, slot in zip(labels, slots, strict=True)
    ]
    return {"charts": {"timeline": chart}, "rows": rows}


register_section(RunGrid())
