"""One cell of the coverage page: its record, and the collection that refreshes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _

from apps.admin.pages.matrix import mark_of
from apps.categories.selectors import category_exists, find_named
from apps.core.errors import InvalidInput
from apps.core.storage.mongo import utc_now
from apps.core.time_texts import instant_text, seconds_between
from apps.mengla.choices import Action, EmptyReason, Priority
from apps.mengla.dispatch.waiting import obstacle_of_runs
from apps.mengla.monitoring.coverage import coverage
from apps.mengla.monitoring.figure_tables import tables_of
from apps.mengla.queries.freshness import freshness_of
from apps.mengla.queries.parameters import DataQuery, build_query
from apps.mengla.queue import jobs
from apps.mengla.queue.jobs import Enqueued
from apps.mengla.queue.wakeup import wake_dispatcher
from apps.mengla.runs.collect import Selection
from apps.mengla.store.selectors import find_records

SHOWN_ROWS = 5
SHOWN_COLUMNS = 6


def read_cell(given: Mapping[str, str]) -> DataQuery:
    """Read the query of a cell from the parameters of the page.

    :raises InvalidInput: when they name no cell.
    """
    query = build_query(
        action=given.get("action", ""),
        cat_id=given.get("category", ""),
        cat_field="category",
        date_type=given.get("granularity", ""),
        timest=given.get("period", ""),
    )
    if query.cat_id and not category_exists(query.cat_id):
        raise InvalidInput(_("There is no such category."))
    return query


def describe_cell(query: DataQuery) -> dict[str, Any]:
    """Return what the page shows of the cell. It starts no collection."""
    found = coverage(
        start=query.start, end=query.end, selection=Selection((query.cat_id,), (Action(query.action),))
    )
    state = found.cell(query.action.value, query.cat_id, query.start.key)
    record = next(iter(find_records(query)), None)
    if record is not None and record["expired_at"] <= utc_now():
        record = None
    return {
        "query": query,
        "action_name": Action(query.action).label,
        "category": find_named(query.cat_id),
        "cell": state,
        "mark": mark_of(state),
        "waiting": obstacle_of_runs() if state.is_in_flight else None,
        "record": None if record is None else _described(query, record),
    }


def enqueue_cell(query: DataQuery, *, requested_by: str) -> Enqueued:
    """Enqueue a collection of the cell, even if its record is fresh."""
    enqueued = jobs.enqueue(query, priority=Priority.MANUAL, requested_by=requested_by, is_forced=True)
    wake_dispatcher()
    return enqueued


def _described(query: DataQuery, record: Mapping[str, Any]) -> dict[str, Any]:
    freshness = freshness_of(record)
    data = [record["data"]] if query.is_trend and record["data"] is not None else record["data"]
    tables = [] if record["is_empty"] else tables_of(query, data)
    return {
        "id": query.record_id(query.start),
        "is_empty": record["is_empty"],
        "empty_reason": _reason(record["empty_reason"]),
        "collected_at": instant_text(record["collected_at"]),
        "age_seconds": seconds_between(record["collected_at"], utc_now()),
        "fresh_until": instant_text(freshness.fresh_until),
        "kept_until": instant_text(record["expired_at"]),
        "is_stale": not freshness.is_fresh(utc_now()),
        "is_provisional": freshness.is_provisional,
        "tables": [table.clipped(rows=SHOWN_ROWS, columns=SHOWN_COLUMNS) for table in tables],
    }


def _reason(text: str) -> str:
    return str(EmptyReason(text).label) if text in EmptyReason.values else text
