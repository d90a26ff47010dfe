"""Counts the collections of runs, ends finished runs, and keeps the totals of ended ones equal to the count.

The numbers are counted when they are needed, so they are exact after any crash.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pymongo.client_session import ClientSession

from apps.core.storage.mongo import collection_of, in_transaction, snapshot_session
from apps.mengla.choices import ACTIVE_STATUSES, CollectionStatus
from apps.mengla.models import Collection
from apps.sync_tasks import selectors as run_selectors
from apps.sync_tasks import services as runs
from apps.sync_tasks.choices import RunStatus
from apps.sync_tasks.work import Counts

Document = dict[str, Any]


def count(run_id: str) -> Counts:
    """Count the collections of a run by status.

    The snapshot is needed: without it, a collection whose status changes between two counts would be counted
    twice or not at all.
    """
    with snapshot_session() as session:
        by_status = {status: _count(run_id, status, session) for status in CollectionStatus}
    return Counts(
        total=sum(by_status.values()),
        completed=by_status[CollectionStatus.SUCCEEDED],
        failed=by_status[CollectionStatus.FAILED],
        empty=by_status[CollectionStatus.EMPTY],
        cancelled=by_status[CollectionStatus.CANCELLED],
        active=sum(by_status[status] for status in ACTIVE_STATUSES),
        in_flight=by_status[CollectionStatus.DISPATCHED],
    )


def _count(run_id: str, status: CollectionStatus, session: ClientSession) -> int:
    counted = collection_of(Collection).aggregate(
        [{"$match": {"run_ids": run_id, "status": status.value}}, {"$count": "collections"}],
        session=session,
    )
    return next((document["collections"] for document in counted), 0)


def has_active(run_id: str) -> bool:
    """Whether a collection of the run has not ended yet."""
    active = {"run_ids": run_id, "status": {"$in": [status.value for status in ACTIVE_STATUSES]}}
    return collection_of(Collection).find_one(active, {"_id": 1}) is not None


def close_if_done(run_id: str) -> bool:
    """End the run if it is planned and all its collections have ended; returns whether this call ended it.

    If it has ended before, its totals are counted anew.
    """
    # The run is read first: a planned run gets no more collections, so the count is final.
    run = run_selectors.state_of(run_id)
    if run is None:
        return False
    is_running = run["status"] == RunStatus.RUNNING
    if has_active(run_id):
        if not is_running and run["totals"] is not None:
            # An older version of this program stored them although collections were in flight.
            runs.reopen_totals([run_id])
        return False
    if is_running:
        if not run["is_planned"]:
            return False
        return runs.finish_run(run_id, counts=count(run_id), unchanged_since=run["updated_at"])
    runs.store_totals(run_id)
    return False


def close_done(run_ids: Iterable[str]) -> int:
    """End those of the runs that are planned and whose collections have ended; returns how many.

    The totals of runs that have ended before are counted anew.
    """
    return sum(close_if_done(run_id) for run_id in run_ids)


def change_ended(criteria: Document, update: list[Document], wanted: Document) -> Document | None:
    """Change a collection that has ended, and remove the stored totals of its runs, in one transaction.

    Returns its ``wanted`` fields from before, or None when no collection matched. Afterwards call
    :func:`close_done`; if the process is killed before, the tick does.
    """

    def change(session: ClientSession) -> Document | None:
        before: Document | None = collection_of(Collection).find_one_and_update(
            criteria, update, projection=wanted | {"run_ids": 1}, session=session
        )
        if before is not None and before["run_ids"]:
            runs.reopen_totals(before["run_ids"], session=session)
        return before

    return in_transaction(change)
