"""The check: evaluates all rules and updates the alerts, once a minute in the whole installation.

The schedule ``alert_check`` starts it in a worker, and a claim on the minute prevents a second cluster from
checking again. Dead workers cannot report themselves: when checks are late, the web processes make them
(:mod:`apps.admin.alerts.alert_thread`), and so does every request for the alerts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from django.conf import settings
from pymongo.errors import DuplicateKeyError

from apps.admin.alerts import outbox, readings, state
from apps.admin.alerts.events import hand_over_events
from apps.admin.alerts.rules import Judgement, judge_all
from apps.admin.alerts.silences import active_silences, delete_expired, silence_of
from apps.admin.choices import AlertEventKind
from apps.admin.models import Alert
from apps.core.scheduling.broker import send_task
from apps.core.scheduling.schedules import next_run_of
from apps.core.storage.mongo import collection_of, named_collection, utc_now

SEND_TASK = "apps.admin.tasks.send_alert_notices"
_CHECKS = "alert_checks"
_KEY = "alerts"
# A check may wait in the queue behind other tasks, and the cluster only polls its schedules.
_LATE_SLACK = timedelta(seconds=60)


@dataclass(slots=True)
class CheckResult:
    """The result of a check: the judgements, and the keys of the alerts that fired and resolved."""

    judgements: list[Judgement]
    fired: list[str] = field(default_factory=list)
    resolved: list[str] = field(default_factory=list)


def run_scheduled_check() -> CheckResult | None:
    """Check, or return None when this minute has been checked already."""
    return check() if _claim_minute(utc_now()) else None


def check_by_hand() -> CheckResult:
    """Check now; the caller limits the time."""
    _note_check(utc_now())
    return check()


def check_if_late() -> CheckResult | None:
    """Check if the scheduled checks are late; None when they are not, or when another process checks.

    Before the very first check nothing is late: the waiting time starts with the first call.
    """
    instant = utc_now()
    last = named_collection(_CHECKS).find_one({"_id": _KEY})
    if last is None:
        named_collection(_CHECKS).update_one(
            {"_id": _KEY},
            {"$setOnInsert": {"minute": 0, "checked_at": None, "awaited_since": instant}},
            upsert=True,
        )
        return None
    if not is_late(last["checked_at"] or last["awaited_since"], now=instant) or not _claim_minute(instant):
        return None
    return check()


def check() -> CheckResult:
    """Evaluate all rules, update the alerts and enqueue the notices; does not wait for the receiver.

    :raises pymongo.errors.PyMongoError: when MongoDB does not respond.
    """
    now = utc_now()
    result = CheckResult(judge_all(now=now))
    alerts = {alert["_id"]: alert for alert in collection_of(Alert).find({}, {"pending_events": 0})}
    delete_expired(now)
    silences = active_silences(now)
    noted = {AlertEventKind.FIRED: result.fired, AlertEventKind.RESOLVED: result.resolved}
    for judgement in result.judgements:
        is_silenced = silence_of(silences, judgement.rule.value, judgement.action) is not None
        kind = state.apply(judgement, alerts.get(judgement.key), is_silenced=is_silenced, now=now)
        if kind is not None:
            noted[kind].append(judgement.key)
    readings.store(result.judgements, now=now)
    hand_over_events()
    if outbox.has_due():
        send_task(SEND_TASK, group="alert_notices")
    return result


def last_checked_at() -> datetime | None:
    """Return when the last check began, UTC without zone; None before the first one."""
    found = named_collection(_CHECKS).find_one({"_id": _KEY})
    return None if found is None else found["checked_at"]


def is_late(checked_at: datetime, *, now: datetime) -> bool:
    """Return whether two checks in a row are overdue."""
    missed = checked_at
    for _ in range(2):
        missed = next_run_of(settings.CRON_ALERT_CHECK, after=missed.replace(tzinfo=UTC))
    return now > missed + _LATE_SLACK


def _claim_minute(now: datetime) -> bool:
    """Claim the minute for this process; False when it is claimed already."""
    try:
        named_collection(_CHECKS).update_one(
            {"_id": _KEY, "minute": {"$lt": _minute_of(now)}}, {"$set": _mark(now)}, upsert=True
        )
    except DuplicateKeyError:
        return False
    return True


def _note_check(now: datetime) -> None:
    # A manual check claims no minute: the scheduled check still runs.
    named_collection(_CHECKS).update_one(
        {"_id": _KEY}, {"$set": {"checked_at": now}, "$setOnInsert": {"minute": 0}}, upsert=True
    )


def _mark(now: datetime) -> dict[str, object]:
    return {"minute": _minute_of(now), "checked_at": now}


def _minute_of(now: datetime) -> int:
    return int(now.replace(tzinfo=UTC).timestamp() // 60)
