"""Checks of what is stored: collections, records, runs, and what must not be left over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from apps.core.periods import parse_period
from apps.mengla.choices import Action
from apps.mengla.queries.data_query import DataQuery
from tests.chaos.checks.evidence import Document, Evidence, check, seconds_of
from tests.chaos.given import EMPTY, FIGURES, STORED, Execution, execution_ids_in
from tests.chaos.operators import CANCEL, CANCEL_ALL, DELETE
from tests.chaos.schedule import REDIS
from tests.http import METRICS_HEADERS
from tests.integration.samples import samples_of
from tests.integration.stack import ENDED

_LEFT_OVER = ("mengla:lease:*", "mengla:deferred_answers", "mengla:parked*")


@check("every collection has ended, with a reason if it failed")
def collections_are_final(evidence: Evidence) -> Iterator[str]:
    for one in evidence.collections:
        if one["status"] not in ENDED or one["active_key"] or one["slot"] is not None:
            yield f"{_name(one)} is {one['status']}, slot {one['slot']}"
        if one["status"] == "FAILED" and not one["error_code"]:
            yield f"{_name(one)} failed without a reason"


@check("every collection that a reader was promised has an outcome")
def what_was_promised_has_an_outcome(evidence: Evidence) -> Iterator[str]:
    stored = {str(one["_id"]) for one in evidence.collections}
    for collection_id, identity in evidence.taken.promised.items():
        if collection_id not in stored:
            yield f"collection {collection_id} of {identity} is gone"


@check("only operators cancel")
def only_operators_cancel(evidence: Evidence) -> Iterator[str]:
    all_cancelled = [one.ended for one in evidence.done.possible(CANCEL_ALL)]
    cancelled_runs = {one.run_id for one in evidence.done.possible(CANCEL)}
    for one in evidence.collections:
        if one["status"] != "CANCELLED":
            continue
        created = seconds_of(one["created_at"])
        # A run that was deleted later is no longer named.
        before = evidence.done.collections.get(str(one["_id"]), one)
        run_ids = {*one["run_ids"], *before["run_ids"]}
        if cancelled_runs.isdisjoint(run_ids) and all(at < created for at in all_cancelled):
            yield f"{_name(one)} is cancelled, and nobody did it"


@check("every answered collection has its records")
def answers_are_stored(evidence: Evidence) -> Iterator[str]:
    stored = {one["_id"] for one in evidence.records}
    deleted = {one.run_id for one in evidence.done.possible(DELETE)}
    for one in evidence.collections:
        # The run of a collection may have been deleted with its records, and is then no longer named.
        is_kept = one["has_reader"] or (one["run_ids"] and deleted.isdisjoint(one["run_ids"]))
        if one["status"] in ("SUCCEEDED", "EMPTY") and is_kept:
            missing = [key for key in _query_of(one).record_ids if key not in stored]
            if missing and not _may_be_deleted(evidence, missing):
                yield f"{_name(one)} is {one['status']}, and these records are missing: {missing}"


def _may_be_deleted(evidence: Evidence, record_ids: list[str]) -> bool:
    """Whether an operator may have deleted these records: a run that was deleted had requested them."""
    deleted = {key for one in evidence.done.collections.values() for key in _records_of(one["identity"])}
    return deleted.issuperset(record_ids)


@check("every record is stored once, under its own key")
def records_are_there_once(evidence: Evidence) -> Iterator[str]:
    counts = Counter(
        (one["action"], one["cat_id"], one["granularity"], one["period_key"], one["variant"])
        for one in evidence.records
    )
    yield from (f"{key} is stored {count} times" for key, count in counts.items() if count > 1)
    for one in evidence.records:
        query = DataQuery(Action(one["action"]), one["cat_id"], *[parse_period(one["period_key"])] * 2)
        if one["_id"] != query.record_id(query.start):
            yield f"the record {one['_id']} holds {query.identity}"


@check("every record equals what the service gave last for its key")
def records_equal_what_was_given(evidence: Evidence) -> Iterator[str]:
    for one in evidence.records:
        executions = evidence.given.by_record.get(one["_id"], [])
        if one["is_empty"]:
            if not any(each.result == EMPTY and each.was_sent for each in executions):
                yield f"the record {one['_id']} is empty, and the service never said so"
            for each in _stored(executions):
                yield f"the record {one['_id']} is empty, but execution {each.id} gave figures"
            continue
        stamps = execution_ids_in(one["data"] if one["action"] != Action.INDUSTRY_TREND else [one["data"]])
        if len(stamps) != 1:
            yield f"the record {one['_id']} mixes the executions {sorted(stamps)}"
            continue
        (execution_id,) = stamps
        if one["data"] != evidence.given.figures_of(execution_id, one["_id"]):
            yield f"the record {one['_id']} differs from what execution {execution_id} gave"
            continue
        stored = evidence.given.executions[execution_id]
        if not stored.was_sent:
            yield f"the record {one['_id']} is of execution {execution_id}, which was never sent"
        for each in _stored(executions):
            if _is_newer(each, stored):
                yield f"the record {one['_id']} is of execution {execution_id}, {each.id} is newer"


def _stored(executions: list[Execution]) -> list[Execution]:
    """Return those whose figures the product says it has stored."""
    return [one for one in executions if one.result == FIGURES and STORED in one.receipts()]


def _is_newer(execution: Execution, other: Execution) -> bool:
    """Whether its figures must replace those of the other one.

    Two ranges of a trend may be collected at the same time, and have points in common. Then the figures that
    are sent last are the newer ones, of whichever range; while both are being sent, neither is.
    """
    is_later = (execution.arrived, execution.number) > (other.arrived, other.number)
    if execution.identity == other.identity:
        return is_later
    taken = [one.ended for one in other.sendings if one.receipt == STORED and one.ended is not None]
    return is_later and min(taken, default=0.0) < min(one.began for one in execution.sendings)


@check("no run is running, and its numbers are those of its collections")
def runs_are_true(evidence: Evidence) -> Iterator[str]:
    for run in evidence.runs:
        run_id = str(run["_id"])
        counted = Counter(one["status"] for one in evidence.collections if run_id in one["run_ids"])
        if run["status"] == "RUNNING":
            yield f"run {run_id} ({run['name']} {run['period']}) is running: {dict(counted)}"
            continue
        response = evidence.installation.get(f"/api/sync-tasks/{run_id}")
        if response.status_code != 200:
            yield f"run {run_id}: {response.status_code} {response.text}"
            continue
        # A run that was cancelled may not have been planned to its end.
        planned = sum(counted.values()) + sum(run["skipped"].values())
        if run["status"] != "CANCELLED" and planned != run["expected_total"]:
            yield f"run {run_id} was to have {run['expected_total']} collections, and has {dict(counted)}"
        told = response.json()["data"]["progress"]
        expected = {
            "total": sum(counted.values()),
            "completed": counted["SUCCEEDED"],
            "empty": counted["EMPTY"],
            "failed": counted["FAILED"],
            "cancelled": counted["CANCELLED"],
            "active": 0,
        }
        wrong = {name: told[name] for name, value in expected.items() if told[name] != value}
        if wrong:
            yield f"run {run_id} says {wrong}, counted are {expected}"
        totals = run["totals"]
        kept = {} if totals is None else {name: totals.get(name) for name in expected if name in totals}
        if totals is None or any(expected[name] != value for name, value in kept.items()):
            yield f"run {run_id} has kept {totals}, counted are {expected}"


@check("no webhook is parked and no lease is held")
def nothing_is_left_in_redis(evidence: Evidence) -> Iterator[str]:
    with evidence.installation.redis() as client:
        for pattern in _LEFT_OVER:
            for key in client.scan_iter(pattern, count=1000):
                yield f"{key.decode()} for {client.pttl(key) / 1000:.0f} s"


@check("the counters of collections are exact, except for what a killed process had not counted yet")
def counters_are_exact(evidence: Evidence) -> Iterator[str]:
    if evidence.hit(REDIS):
        return  # they are lost with Redis, and nothing is counted while it is down
    with evidence.installation.client() as client:
        found = samples_of(client.get("/metrics", headers=METRICS_HEADERS).text)
    # One that failed and whose figures came later is counted twice, the second time as recovered.
    counted = sum(
        count
        for (name, labels), count in found.items()
        if name == "collector_collections_total" and dict(labels)["outcome"] != "recovered"
    )
    ended = len(evidence.collections) + len(
        evidence.done.collections.keys() - {str(one["_id"]) for one in evidence.collections}
    )
    kills = len(evidence.installation.outages)
    if not ended - kills <= counted <= ended:
        yield f"{counted:g} are counted, {ended} have ended, {kills} processes were killed"


@check("no process outlives the one that started it")
def no_process_is_left(evidence: Evidence) -> Iterator[str]:
    yield from (f"process {pid} is left" for pid in evidence.installation.living_strays())


@check("no log holds a secret")
def logs_hold_no_secret(evidence: Evidence) -> Iterator[str]:
    yield from (line[:300] for line in evidence.installation.find_leaks())


def _query_of(collection: Document) -> DataQuery:
    start, end = parse_period(collection["start_key"]), parse_period(collection["end_key"])
    return DataQuery(Action(collection["action"]), collection["cat_id"], start, end)


def _records_of(identity: str) -> list[str]:
    action, cat_id, _, periods = identity.split(":")
    start, _, end = periods.partition("~")
    query = DataQuery(Action(action), cat_id, parse_period(start), parse_period(end or start))
    return query.record_ids


def _name(collection: Document) -> str:
    return f"collection {collection['_id']} of {collection['identity']}"
