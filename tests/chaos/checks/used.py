"""Checks of what readers and operators got."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from apps.mengla.choices import Action
from tests.chaos.checks.evidence import Evidence, check, seconds_of
from tests.chaos.given import EMPTY, execution_ids_in, record_id_of
from tests.chaos.operators import (
    CANCEL,
    CANCEL_ALL,
    DELETE,
    FILL,
    RETRY,
    SILENCE,
    TASK,
)
from tests.chaos.readers import CONDITIONAL, EXPORT, LASTING, NOT_AS_DESCRIBED, WAIT, Body
from tests.chaos.schedule import MONGO, REDIS, WEB, WEB_WORKER
from tests.integration.questions import Question

# How long after its outage a server may still count as down: what a process remembers, and a timeout.
SERVER_GRACE_SECONDS = 6.0
WEB_GRACE_SECONDS = 1.5
_ALWAYS = {"200", "202", "429"}
_BY_KIND = {WAIT: {"502", "504"}, CONDITIONAL: {"304"}, EXPORT: set()}
_OF_OPERATORS = {"200", "202", "409"}


@check("readers get documented statuses, 503 only while MongoDB is down, and a connection while web is up")
def readers_get_documented_statuses(evidence: Evidence) -> Iterator[str]:
    for read in evidence.taken.reads:
        if read.outcome in _ALWAYS | _BY_KIND.get(read.kind, set()):
            continue
        if not _is_excused(evidence, read.outcome, read.began, read.ended, MONGO):
            seconds = read.ended - read.began
            yield f"{read.kind} at {read.began:.2f}: {read.outcome} after {seconds:.2f} s {read.detail}"


@check("operators get only documented statuses")
def operators_get_documented_statuses(evidence: Evidence) -> Iterator[str]:
    deleted = {one.run_id for one in evidence.done.possible(DELETE)}
    for act in evidence.done.acts:
        if act.outcome in _OF_OPERATORS or (act.outcome == "404" and act.run_id in deleted):
            continue
        if not _is_excused(evidence, act.outcome, act.began, act.ended, MONGO, REDIS):
            yield f"{act.name} at {act.began:.2f}: {act.outcome} {act.detail}"


def _is_excused(evidence: Evidence, outcome: str, began: float, ended: float, *servers: str) -> bool:
    """Whether a fault explains a 503 or a broken connection."""
    down = evidence.installation.was_down
    if outcome == "503":
        return any(down(one, began, ended, grace_seconds=SERVER_GRACE_SECONDS) for one in servers)
    if outcome.isdigit() or outcome == NOT_AS_DESCRIBED:
        return False
    return any(down(one, began, ended, grace_seconds=WEB_GRACE_SECONDS) for one in (WEB, WEB_WORKER))


@check("every body is whole, of the right query, and what the service gave")
def bodies_are_what_was_given(evidence: Evidence) -> Iterator[str]:
    for body in evidence.taken.bodies.values():
        if problem := _problem_of(evidence, body):
            yield f"{body.question.identity} at {body.at:.2f}: {problem}"


def _problem_of(evidence: Evidence, body: Body) -> str | None:
    question, query = body.question, body.question.query
    if body.data is None:
        return None if _was_empty(evidence, question) else "it is empty, and the service never said so"
    if query.is_trend:
        for point in body.data:
            (execution_id,) = execution_ids_in([point])
            if point != evidence.given.figures_of(execution_id, record_id_of(query, point)):
                return f"the point {point.get('timest')} is not what {execution_id or 'any'} gave"
        periods = [point["timest"] for point in body.data]
        return None if len(set(periods)) == len(periods) else "a point is there twice"
    figures = _without_subcategories(body.data)
    stamps = execution_ids_in(figures)
    if len(stamps) != 1:
        return f"it mixes the executions {sorted(stamps)}"
    (execution_id,) = stamps
    if figures != evidence.given.figures_of(execution_id, query.record_id(query.start)):
        return f"it is not what {execution_id or 'any execution'} gave"
    return None


def _without_subcategories(data: Any) -> Any:
    """Return the figures of a body without what the product adds to them."""
    if isinstance(data, Mapping):
        return {name: value for name, value in data.items() if name != "secondaryCategories"}
    return data


def _was_empty(evidence: Evidence, question: Question) -> bool:
    executions = evidence.given.by_identity.get(question.identity, [])
    return any(one.result == EMPTY and one.was_sent for one in executions)


@check("no cache of any process holds older figures than MongoDB")
def caches_agree_with_the_records(evidence: Evidence) -> Iterator[str]:
    pending = [str(one["_id"]) for one in evidence.collections if one.get("is_cache_pending")]
    if pending:
        yield f"the caches were never notified of {pending}"
    records = {one["_id"]: one for one in evidence.records}
    installation = evidence.installation
    with installation.web.clients(installation.token) as by_worker:
        for pid, (client,) in by_worker.items():
            for question in LASTING:
                stored = [records.get(key) for key in question.query.record_ids]
                if None in stored:
                    continue
                response = installation.ask(question, client=client)
                data = response.json()["data"] if response.is_success else None
                told = execution_ids_in(_without_subcategories(data))
                figures = [one["data"] for one in stored if one is not None and not one["is_empty"]]
                if not question.query.is_trend:
                    expected = execution_ids_in(figures[0]) if figures else {""}
                else:
                    expected = execution_ids_in(figures) or {""}
                if told != expected:
                    source = response.headers.get("X-MengLa-Source")
                    yield (
                        f"{question.identity}: process {pid} has {sorted(told)} from {source} "
                        f"({response.status_code}), stored are {sorted(expected)}"
                    )


@check("every file of an export is whole, and has what the service gave")
def exports_are_what_was_given(evidence: Evidence) -> Iterator[str]:
    rows_of: dict[str, list[Mapping[str, Any]]] = {}
    for action, content, at in evidence.taken.exports.values():
        *lines, last = [json.loads(line) for line in content.splitlines()]
        if not last.get("end") or last["rows"] != len(lines):
            yield f"{action} at {at:.2f}: its last line is {str(last)[:200]}, it has {len(lines)} rows"
        by_record: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
        for line in lines:
            by_record.setdefault((line["catId"], line["period"]), []).append(line)
        for (cat_id, period), rows in by_record.items():
            record_id = Question(Action(action), cat_id, period).query.record_ids[0]
            stamps = {(row.get("more") or {}).get("_execution", "") for row in rows}
            execution_id = min(stamps)
            given = rows_of.setdefault(
                f"{execution_id} {record_id}",
                (evidence.given.figures_of(execution_id, record_id) or {}).get("list", []),
            )
            names = [row.get("catNameCn") for row in rows]
            if len(stamps) != 1 or names != [row.get("catNameCn") for row in given]:
                yield f"{record_id} at {at:.2f}: {len(rows)} rows of {sorted(stamps)}, {len(given)} given"


@check("every accepted action of an operator has its effect")
def actions_have_their_effect(evidence: Evidence) -> Iterator[str]:
    runs = {str(run["_id"]): run for run in evidence.runs}
    maybe_deleted = {one.run_id for one in evidence.done.possible(DELETE)}
    for act in evidence.done.accepted(FILL, TASK, RETRY):
        run_id = act.data["sync_task_id"]
        if run_id not in runs and run_id not in maybe_deleted:
            yield f"{act.name} at {act.began:.2f}: run {run_id} is gone"
        elif act.name == RETRY and run_id in runs and runs[run_id]["retry_of"] != act.run_id:
            yield f"run {run_id} is no retry of {act.run_id}"
    for act in evidence.done.accepted(CANCEL):
        if act.run_id not in maybe_deleted and runs[act.run_id]["status"] != "CANCELLED":
            yield f"run {act.run_id} was cancelled at {act.began:.2f}, and is {runs[act.run_id]['status']}"
    for act in evidence.done.accepted(DELETE):
        if act.run_id in runs:
            yield f"run {act.run_id} was deleted at {act.began:.2f}, and is there"
        left = [str(one["_id"]) for one in evidence.collections if act.run_id in one["run_ids"]]
        left += [one["_id"] for one in evidence.records if act.run_id in one["run_ids"]]
        if left:
            yield f"run {act.run_id} was deleted at {act.began:.2f}, and these name it: {left}"
    for act in evidence.done.accepted(CANCEL_ALL):
        before = {
            one.data["sync_task_id"]
            for one in evidence.done.accepted(FILL, TASK, RETRY)
            if one.ended < act.began
        }
        for run_id in before & runs.keys():
            finished = runs[run_id]["finished_at"]
            if act.data["is_complete"] and (finished is None or seconds_of(finished) > act.ended + 1):
                yield f"run {run_id} outlasts the cancel-all of {act.began:.2f}"
    silences = evidence.done.accepted(SILENCE)
    if silences:
        alerts = evidence.installation.get("/api/admin/alerts").json()["data"]["alerts"]
        last = max(silences, key=lambda one: one.ended)
        told = {one["silenced_until"] for one in alerts if one["rule"] == last.data["rule_name"]}
        possible = {one.data["silenced_until"] for one in silences if one.ended >= last.began}
        possible |= {None} if evidence.done.possible(SILENCE) != silences else set()
        if told.isdisjoint(possible):
            yield f"the silence until {last.data['silenced_until']} is not there: {told}"
    paused = evidence.installation.get("/api/admin/scheduler/status").json()["data"]["pause"]["paused"]
    if paused:
        yield "the schedules are paused, though they were resumed last"
