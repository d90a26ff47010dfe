"""The states of alerts: every change is one conditional update, and gives its events exactly once.

::

    (none) | resolved --(bad)--> firing --(good)--> resolved

A change sends no notice while the rule is silenced, or when the alert fires again within
ALERT_COOLDOWN_MINUTES of its last notice. If the alert still fires when the silence or the cooldown is over,
the notice is sent then.

The update that makes a change also stores the events of the change in the alert.
:mod:`apps.admin.alerts.events` moves them on from there. So a process that is killed in between loses no
event, and a second process that sees the same change updates nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from bson import ObjectId
from django.conf import settings
from pymongo.errors import DuplicateKeyError

from apps.admin.alerts.rules import Judgement, Verdict
from apps.admin.alerts.words import MESSAGES
from apps.admin.choices import AlertEventKind
from apps.admin.models import Alert
from apps.core.storage.mongo import collection_of
from apps.core.time_texts import seconds_between

Document = dict[str, Any]


def apply(
    judgement: Judgement, alert: Mapping[str, Any] | None, *, is_silenced: bool, now: datetime
) -> AlertEventKind | None:
    """Update an alert to match a judgement; returns FIRED, RESOLVED, or None when its state stays."""
    is_firing = alert is not None and alert["is_firing"]
    if judgement.verdict is Verdict.BAD:
        if alert is not None and is_firing:
            _keep_firing(judgement, alert, is_silenced=is_silenced, now=now)
            return None
        return _fire(judgement, alert, is_silenced=is_silenced, now=now)
    if judgement.verdict is Verdict.GOOD and alert is not None and is_firing:
        return _resolve(judgement, alert, is_silenced=is_silenced, now=now)
    return None


def _fire(
    judgement: Judgement, alert: Mapping[str, Any] | None, *, is_silenced: bool, now: datetime
) -> AlertEventKind | None:
    told_at = alert.get("told_at") if alert is not None else None
    is_told = not is_silenced and _is_cooled_down(told_at, now)
    event = _event(AlertEventKind.FIRED, judgement, now, is_silenced=is_silenced, is_told=is_told)
    try:
        collection_of(Alert).update_one(
            {"_id": judgement.key, "is_firing": False, "told_at": told_at},
            {
                "$set": _facts(judgement, now)
                | {
                    "rule": judgement.rule.value,
                    "action": judgement.action,
                    "is_firing": True,
                    "is_told": is_told,
                    "told_at": now if is_told else told_at,
                    "fired_at": now,
                    "resolved_at": None,
                },
                "$inc": {"episode": 1},
                "$push": {"pending_events": event},
            },
            upsert=True,
        )
    except DuplicateKeyError:
        return None  # another process has changed it meanwhile
    return AlertEventKind.FIRED


def _keep_firing(judgement: Judgement, alert: Mapping[str, Any], *, is_silenced: bool, now: datetime) -> None:
    alerts = collection_of(Alert)
    same = {"_id": alert["_id"], "is_firing": True, "episode": alert["episode"]}
    alerts.update_one(same, {"$set": _facts(judgement, now)})
    if not alert["is_told"] and not is_silenced and _is_cooled_down(alert.get("told_at"), now):
        # It began during a silence or a cooldown, which is over now.
        event = _event(AlertEventKind.FIRED, judgement, alert["fired_at"], is_told=True, is_in_history=True)
        alerts.update_one(
            same | {"is_told": False},
            {"$set": {"is_told": True, "told_at": now}, "$push": {"pending_events": event}},
        )


def _is_cooled_down(told_at: datetime | None, now: datetime) -> bool:
    return told_at is None or told_at <= now - timedelta(minutes=settings.ALERT_COOLDOWN_MINUTES)


def _resolve(
    judgement: Judgement, alert: Mapping[str, Any], *, is_silenced: bool, now: datetime
) -> AlertEventKind | None:
    # A notice of the end is sent if one of the beginning was sent, silenced or not.
    is_told = bool(alert["is_told"])
    judgement = replace(judgement, message=_recovery(judgement, alert, now))
    event = _event(AlertEventKind.RESOLVED, judgement, now, is_silenced=is_silenced, is_told=is_told)
    result = collection_of(Alert).update_one(
        {"_id": alert["_id"], "is_firing": True, "episode": alert["episode"], "is_told": is_told},
        {
            "$set": _facts(judgement, now) | {"is_firing": False, "resolved_at": now},
            "$push": {"pending_events": event},
        },
    )
    return AlertEventKind.RESOLVED if result.modified_count else None


def _recovery(judgement: Judgement, alert: Mapping[str, Any], now: datetime) -> str:
    """Return the message of what became better; the one of the rule describes what is bad."""
    fired_at: datetime | None = alert.get("fired_at")
    return judgement.recovered(lasted_seconds=seconds_between(fired_at or now, now))


def _facts(judgement: Judgement, now: datetime) -> Document:
    return {
        "severity": judgement.severity.value,
        **MESSAGES.stored(judgement.message),
        "value": judgement.value,
        "threshold": judgement.threshold,
        "updated_at": now,
    }


def _event(
    kind: AlertEventKind,
    judgement: Judgement,
    at: datetime,
    *,
    is_told: bool,
    is_silenced: bool = False,
    is_in_history: bool = False,
) -> Document:
    return {
        "_id": ObjectId(),
        "kind": kind.value,
        "rule": judgement.rule.value,
        "action": judgement.action,
        "severity": judgement.severity.value,
        **MESSAGES.stored(judgement.message),
        "value": judgement.value,
        "threshold": judgement.threshold,
        "at": at,
        "is_silenced": is_silenced,
        "is_told": is_told,
        "is_in_history": is_in_history,
    }
