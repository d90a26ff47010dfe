"""What the tests of runs share: starting and planning them here, and answering their collections."""

from __future__ import annotations

from typing import Any

from apps.core.periods import Period
from apps.core.storage.mongo import collection_of, utc_now
from apps.mengla.choices import CollectionError, CollectionStatus
from apps.mengla.ingest import records
from apps.mengla.models import Collection
from apps.mengla.queries.data_query import DataQuery
from apps.mengla.queue import jobs
from apps.mengla.runs import planning
from apps.mengla.store import selectors
from apps.sync_tasks import selectors as run_selectors

ROWS = {"list": [{"catName": "x", "monthSales": 1}]}


def plan_now(run_id: str) -> dict[str, Any]:
    """Plan the run as a worker would, and return it as it stands then."""
    planning.plan_run(run_id)
    return run_document(run_id)


def run_document(run_id: str) -> dict[str, Any]:
    run = run_selectors.find_run(run_id)
    assert run is not None
    return dict(run)


def collections_of(run_id: str) -> list[dict[str, Any]]:
    return list(collection_of(Collection).find({"run_ids": run_id}).sort("_id"))


def identities_of(run_id: str) -> list[str]:
    return [document["identity"] for document in collections_of(run_id)]


def store(
    query: DataQuery, *, run_ids: list[str] | None = None, has_reader: bool = False, age_days: int = 0
) -> None:
    """Store figures for every period of the query."""
    from datetime import timedelta

    provenance = records.Provenance(
        collection_id="0" * 24,
        run_ids=run_ids or [],
        has_reader=has_reader,
        collected_at=utc_now() - timedelta(days=age_days),
        duration_ms=5,
    )
    records.store_answers(query, [_answer(query, period) for period in query.periods], provenance)


def _answer(query: DataQuery, period: Period) -> records.Answer:
    return records.Answer(period, {"timest": period.dashed} if query.is_trend else ROWS)


def end_next(*, error: CollectionError | None = None) -> dict[str, Any] | None:
    """Claim the next collection and end it: with figures, or for good with this error."""
    claimed = jobs.claim(slot_count=50)
    if claimed is None:
        return None
    if error is not None:
        jobs.fail_attempt(
            claimed["_id"],
            attempt_token=claimed["attempt_token"],
            error=error,
            message="made to fail",
            is_permanent=True,
        )
        return claimed
    store(selectors.query_of(claimed), run_ids=claimed["run_ids"], has_reader=claimed["has_reader"])
    jobs.finish(claimed["_id"], status=CollectionStatus.SUCCEEDED)
    return claimed


def end_all(*, failing: int = 0) -> int:
    """End everything in the queue, the first ones as failures; returns how many ended."""
    ended = 0
    while end_next(error=CollectionError.EXECUTION_FAILED if ended < failing else None) is not None:
        ended += 1
    return ended
