"""Checks of what the service saw: never too much at once, never too fast, and soon again after a fault."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tests.chaos.checks.evidence import Document, Evidence, check
from tests.chaos.given import Execution
from tests.chaos.installation import INTERVAL_SECONDS, REQUEST_TIMEOUT_SECONDS, SLOTS, TIMEOUT_SECONDS

# How long a request or its response may be under way, on a machine with other work.
_UNDER_WAY_SECONDS = 0.5
# After an outage of MongoDB or Redis a process may still believe for so long that it is down.
_RECOVERY_SECONDS = 3.0


def in_flight(execution: Execution) -> tuple[float, float]:
    """Return from when to when an execution is in flight, as docs/adr/0030 defines it."""
    ends = [execution.arrived + TIMEOUT_SECONDS]
    ends += [execution.ended] if execution.ended is not None else []
    return execution.arrived, min(ends)


def known_executions(evidence: Evidence) -> dict[str, str]:
    """Return the executions whose ids the product had stored, each with the id of its collection."""
    return {
        execution_id: str(collection["_id"])
        for collection in [*evidence.done.collections.values(), *evidence.collections]
        for execution_id in _executions_of(collection)
        if execution_id
    }


def _executions_of(collection: Document) -> Iterator[str]:
    yield collection["execution_id"]
    yield from (one.rpartition(" ")[2] for one in collection.get("past_executions", ()))
    yield from (one.get("execution_id", "") for one in collection.get("attempt_log", ()))


@check("the product forgets no execution without a fault")
def lost_responses_have_a_cause(evidence: Evidence) -> Iterator[str]:
    known = known_executions(evidence)
    for execution in evidence.given.in_order():
        if execution.id in known or execution.responded is None:
            continue
        if execution.responded - execution.arrived > REQUEST_TIMEOUT_SECONDS - _UNDER_WAY_SECONDS:
            continue  # the product may have given the request up before
        began, ended = execution.arrived - _UNDER_WAY_SECONDS, execution.responded + _UNDER_WAY_SECONDS
        if not any(one.overlaps(began, ended, grace_seconds=_RECOVERY_SECONDS) for one in evidence.faults):
            yield f"execution {execution.id} of {execution.identity}, requested at {execution.arrived:.2f}"


@check("the service never works on the same query twice at the same time")
def one_in_flight_for_a_key(evidence: Evidence) -> Iterator[str]:
    known = known_executions(evidence)
    for identity, executions in evidence.given.by_identity.items():
        confirmed = [one for one in executions if one.id in known]
        for number, first in enumerate(confirmed):
            end = _end_for_product(first, executions, known)
            for second in confirmed[number + 1 :]:
                if second.arrived < end:
                    lasting = end - second.arrived
                    yield f"{identity}: {first.id} and {second.id} together for {lasting:.2f} s"


def _end_for_product(execution: Execution, siblings: list[Execution], known: Mapping[str, str]) -> float:
    """Return when the product may have ended an attempt: by the service's end, an answer, or the timeout."""
    ends = [in_flight(execution)[1]]
    # An answer to an earlier attempt ends the collection, although the service works on the later one.
    collection_id = known[execution.id]
    ends += [
        sending.began
        for sibling in siblings
        if sibling is not execution and known.get(sibling.id, collection_id) == collection_id
        for sending in sibling.sendings
        if sending.began > execution.arrived
    ]
    return min(ends)


@check("the service never works on more collections than MAX_INFLIGHT_REQUESTS")
def slots_are_kept(evidence: Evidence) -> Iterator[str]:
    known = known_executions(evidence)
    steps = []
    for execution in evidence.given.executions.values():
        if execution.id not in known:
            continue
        siblings = evidence.given.by_identity[execution.identity]
        began, ended = execution.arrived, _end_for_product(execution, siblings, known)
        steps += [(began, 1, execution.id), (ended, -1, execution.id)]
    working: set[str] = set()
    for at, change, execution_id in sorted(steps):
        if change < 0:
            working.discard(execution_id)
            continue
        working.add(execution_id)
        if len(working) > SLOTS:
            yield f"{len(working)} in flight at {at:.2f}: {sorted(working)}"


@check("two requests are never closer together than COLLECT_INTERVAL_SECONDS")
def the_interval_is_kept(evidence: Evidence) -> Iterator[str]:
    requests = evidence.given.requests
    for number, later in enumerate(requests[1:], start=1):
        gap = later - requests[number - 1]
        if gap < INTERVAL_SECONDS - evidence.jitter_seconds:
            yield f"{gap * 1000:.0f} ms before the request at {later:.2f}"


@check("after a fault the next request comes soon")
def the_next_request_comes_soon(evidence: Evidence) -> Iterator[str]:
    for gap in evidence.gaps:
        if gap.seconds > evidence.max_gap_seconds:
            yield f"{gap.seconds:.1f} s from {gap.began:.2f}, after {gap.after or 'no fault'}"


@check("everything ends within the time that the trial gives it")
def everything_settles(evidence: Evidence) -> Iterator[str]:
    if not evidence.has_settled:
        active = [one for one in evidence.collections if one["active_key"]]
        running = [one for one in evidence.runs if one["status"] == "RUNNING"]
        yield f"{len(active)} collections and {len(running)} runs have not ended"
