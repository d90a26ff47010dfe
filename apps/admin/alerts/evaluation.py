"""The check: asks all rules and brings the alerts in line, once a minute in the whole installation.

The schedule ``alert_check`` starts it in a worker, and a claim on the minute keeps a second cluster from
doing it again. A worker that is dead cannot tell that it is: when checks stay away, the web processes make
them (:mod:`apps.admin.alerts.alert_thread`), and so does whoever asks for the alerts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from django.conf import settings
from pymongo.errors import DuplicateKeyError

from apps.admin.alerts import outbox, state
from apps.admin.alerts.events import hand_over_events
from apps.admin.alerts.rules import Judgement, judge_all
from apps.admin.choices import AlertEventKind
from apps.admin.models import Alert, AlertSilence
from apps.core.scheduling.broker import send_task
from apps.core.scheduling.schedules import next_run_of
from apps.core.storage.mongo import collection_of, named_collection, utc_now

SEND_TASK = "apps.admin.tasks.send_alert_notices"
_CHECKS = "alert_checks"
_KEY = "alerts"
# A check waits in the queue behind other tasks, and the cluster looks for due schedules now and then.
_LATE_SLACK = timedelta(seconds=60)


@dataclass(slots=True)
class CheckResult:
    """What a check has found: the judgements, and the keys of the alerts that changed."""

    judgements: list[Judgement]
    fired: list[str] = field(default_factory=list)
    resolved: list[str] = field(default_factory=list)


def run_scheduled_check() -> CheckResult | None:
    """Check unless this minute has been checked already; then None."""
    return check() if _claim_minute(utc_now()) else None


def check_by_hand() -> CheckResult:
    """Check now; the caller bounds the time."""
    _note_check(utc_now())
    return check()


def check_if_late() -> CheckResult | None:
    """Check if the workers should have done so and did not; None when they did, or somebody else does it.

    Before the very first check nothing is late: the clock starts with this call.
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
    """Ask all rules, bring the alerts in line and hand over what is to be told; waits for no receiver.

    :raises pymongo.errors.PyMongoError: when MongoDB does not answer.
    """
    now = utc_now()
    result = CheckResult(judge_all(now=now))
    alerts = {alert["_id"]: alert for alert in collection_of(Alert).find({}, {"pending_events": 0})}
    silenced = {
        one["_id"] for one in collection_of(AlertSilence).find({"silenced_until": {"$gt": now}}, {"_id": 1})
    }
    noted = {AlertEventKind.FIRED: result.fired, AlertEventKind.RESOLVED: result.resolved}
    for judgement in result.judgements:
        kind = state.apply(
            judgement, alerts.get(judgement.key), is_silenced=judgement.rule in silenced, now=now
        )
        if kind is not None:
            noted[kind].append(judgement.key)
    hand_over_events()
    if outbox.has_due():
        send_task(SEND_TASK, group="alert_notices")
    return result


def last_checked_at() -> datetime | None:
    """Return when the last check began, UTC without zone."""
    found = named_collection(_CHECKS).find_one({"_id": _KEY})
    return None if found is None else found["checked_at"]


def is_late(checked_at: datetime, *, now: datetime) -> bool:
    """Whether two checks in a row have stayed away."""
    missed = checked_at
    for _ in range(2):
        missed = next_run_of(settings.CRON_ALERT_CHECK, after=missed.replace(tzinfo=UTC))
    return now > missed + _LATE_SLACK


def _claim_minute(now: datetime) -> bool:
    """Take the minute for this process; False when it is taken."""
    try:
        named_collection(_CHECKS).update_one(
            {"_id": _KEY, "minute": {"$lt": _minute_of(now)}}, {"$set": _mark(now)}, upsert=True
        )
    except DuplicateKeyError:
        return False
    return True


def _note_check(now: datetime) -> None:
    # A check by hand takes no minute: the one of the schedule follows all the same.
    named_collection(_CHECKS).update_one(
        {"_id": _KEY}, {"$set": {"checked_at": now}, "$setOnInsert": {"minute": 0}}, upsert=True
    )


def _mark(now: datetime) -> dict[str, object]:
    return {"minute": _minute_of(now), "checked_at": now}


def _minute_of(now: datetime) -> int:
    return int(now.replace(tzinfo=UTC).timestamp() // 60)
