"""The panel of a cell: what is stored, why nothing newer is, and the collection that changes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from apps.admin.pages.coverage.matrix import LOOKS
from apps.admin.pages.data.figures.links import linked
from apps.categories.selectors import category_exists
from apps.core import market_clock
from apps.core.errors import InvalidInput
from apps.core.periods import check_begun
from apps.core.printable import labelled
from apps.core.storage.mongo import utc_now
from apps.core.stored_messages import HISTORY
from apps.core.time_texts import RANGE_SIGN, instant_text, period_text, seconds_between, stored_period_text
from apps.mengla.choices import (
    ACTIVE_STATUSES,
    Action,
    CollectionError,
    CollectionStatus,
    EmptyReason,
    Priority,
)
from apps.mengla.dispatch.waiting import WaitingCode, waiting_of
from apps.mengla.monitoring.cell_collections import last_collections
from apps.mengla.monitoring.coverage import Mark, coverage
from apps.mengla.monitoring.figure_tables import tables_of
from apps.mengla.monitoring.throughput import present_pace
from apps.mengla.queries.freshness import freshness_of
from apps.mengla.queries.parameters import DataQuery, build_query
from apps.mengla.queue import jobs
from apps.mengla.queue.jobs import Enqueued
from apps.mengla.queue.wakeup import wake_dispatcher
from apps.mengla.runs.collect import Selection
from apps.mengla.store.attempts import attempts_of
from apps.mengla.store.selectors import MAX_POSITION, UNUSABLE_ERRORS, find_records, query_of, queue_position
from apps.mengla.words import ERRORS, figures_name
from apps.sync_tasks.selectors import find_run

SHOWN_ROWS = 5
SHOWN_COLUMNS = 6
SHOWN_COLLECTIONS = 5
_MAX_NAMED_RUNS = 5
# The queue moves, and the collection waits only for its turn.
_MOVING = (WaitingCode.QUEUED, WaitingCode.IN_FLIGHT)
Document = Mapping[str, Any]


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
    last = last_collections(query, limit=SHOWN_COLLECTIONS + 1)
    has_more, last = len(last) > SHOWN_COLLECTIONS, last[:SHOWN_COLLECTIONS]
    active = [one for one in last if one["status"] in ACTIVE_STATUSES]
    look = LOOKS[state.mark]
    return {
        "query": query,
        "title": title_of(query),
        "cell": state,
        "look": look,
        "state_name": state_name(state.mark, query),
        "waiting": _standing(active) if state.is_under_way else None,
        "failure": _failure(last[0]) if state.is_failed and last else None,
        "collections": _rows(last, query),
        "has_more": has_more,
        "attempts": _attempts(last[0]) if last else [],
        "record": None if record is None else _described(query, record),
    }


def title_of(query: DataQuery) -> str:
    """Return the data set, the category below its parents, and the period."""
    name = figures_name(Action(query.action).label, query.cat_id, query.start.key, query.end.key)
    return HISTORY.translated(name)


def state_name(mark: Mark, query: DataQuery) -> str:
    """Return the state of a cell in words, as a message to a screen reader says it."""
    return labelled(period_text(query.start, query.end), LOOKS[mark].name)


def enqueue_cell(query: DataQuery, *, requested_by: str) -> Enqueued:
    """Enqueue a collection of the cell, even if its record is fresh.

    If the last collection of a trend failed, its whole range is collected again, as a retry does.
    """
    if query.is_trend:
        last = last_collections(query, limit=1)
        if last and last[0]["status"] == CollectionStatus.FAILED:
            with suppress(*UNUSABLE_ERRORS):
                failed = query_of(last[0])
                check_begun(failed.end, market_clock.today())
                query = failed
    enqueued = jobs.enqueue(query, priority=Priority.MANUAL, requested_by=requested_by, is_forced=True)
    wake_dispatcher()
    return enqueued


def _standing(active: Sequence[Document]) -> dict[str, Any] | None:
    """Return where the collection under way stands: the dispatched one, if there are several."""
    collection = min(active, key=lambda one: one["status"] != CollectionStatus.DISPATCHED, default=None)
    if collection is None:
        return None
    if collection["status"] == CollectionStatus.DISPATCHED:
        return {
            "sent_at": instant_text(collection["dispatched_at"]),
            "seconds": _seconds(collection["dispatched_at"], utc_now()),
            "answer_until": instant_text(collection["lease_until"]),
        }
    position = queue_position(collection)
    reason = waiting_of(collection, position=position)
    is_moving = reason is None or reason.code in _MOVING
    return {
        "position": position,
        "is_more": position == MAX_POSITION,
        "reason": "" if reason is None else reason.message,
        "seconds_left": _seconds_left(position) if is_moving else None,
    }


def _seconds_left(position: int) -> int | None:
    """Estimate when a collection with so many ahead of it is done; None if that cannot be known."""
    if position >= MAX_POSITION:
        return None
    pace = present_pace()
    return pace.seconds_for(position + 1) if pace.is_measured else None


def _failure(collection: Document) -> dict[str, Any]:
    return {
        "reason": _reason_of(collection),
        "message": ERRORS.shown(collection),
        "finished_at": instant_text(collection["finished_at"]),
        "attempts": collection["attempts"],
    }


def _rows(collections: Sequence[Document], query: DataQuery) -> list[dict[str, Any]]:
    run_ids = list(dict.fromkeys(run_id for one in collections for run_id in one["run_ids"]))
    names = {run_id: _name_of_run(run_id) for run_id in run_ids[:_MAX_NAMED_RUNS]}
    return [
        {
            "id": str(one["_id"]),
            "status": one["status"],
            "status_name": CollectionStatus(one["status"]).label,
            "range": _range_of(one) if query.is_trend else "",
            "reason": _reason_of(one),
            "message": ERRORS.shown(one),
            "attempts": one["attempts"],
            "created_at": instant_text(one["created_at"]),
            "finished_at": instant_text(one["finished_at"]),
            "seconds": _seconds(one["dispatched_at"], one["finished_at"]),
            "requested_by": one["requested_by"],
            "runs": [(run_id, names.get(run_id) or run_id) for run_id in one["run_ids"][:_MAX_NAMED_RUNS]],
            "more_runs": max(0, len(one["run_ids"]) - _MAX_NAMED_RUNS),
        }
        for one in collections
    ]


def _attempts(collection: Document) -> list[dict[str, Any]]:
    """Return the attempts that the collection keeps, the newest first."""
    return [
        {"attempt": one, "at": instant_text(one.started_at or one.ended_at)}
        for one in attempts_of(collection)
    ]


def _name_of_run(run_id: str) -> str:
    run = find_run(run_id)
    return _(run["name"]) if run and run["name"] else ""


def _range_of(collection: Document) -> str:
    return stored_period_text(RANGE_SIGN.join((collection["start_key"], collection["end_key"])))


def _seconds(start: datetime | None, end: datetime | None) -> float | None:
    return None if start is None or end is None else seconds_between(start, end)


def _reason_of(collection: Document) -> str:
    if (code := collection["error_code"]) in CollectionError.values:
        return str(CollectionError(code).label)
    return str(code or _empty_reason(collection["empty_reason"]))


def _described(query: DataQuery, record: Mapping[str, Any]) -> dict[str, Any]:
    freshness = freshness_of(record)
    data = [record["data"]] if query.is_trend and record["data"] is not None else record["data"]
    tables = [] if record["is_empty"] else tables_of(query, data)
    return {
        "id": query.record_id(query.start),
        "is_empty": record["is_empty"],
        "empty_reason": _empty_reason(record["empty_reason"]),
        "collected_at": instant_text(record["collected_at"]),
        "age_seconds": seconds_between(record["collected_at"], utc_now()),
        "fresh_until": instant_text(freshness.fresh_until),
        "kept_until": instant_text(record["expired_at"]),
        "is_stale": not freshness.is_fresh(utc_now()),
        "is_provisional": freshness.is_provisional,
        "tables": [linked(one, query, rows=SHOWN_ROWS, columns=SHOWN_COLUMNS) for one in tables],
    }


def _empty_reason(text: str) -> str:
    return str(EmptyReason(text).label) if text in EmptyReason.values else text
