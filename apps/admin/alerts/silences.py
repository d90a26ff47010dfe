"""Silences: a silenced rule is still evaluated, but sends no notices."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import structlog

from apps.admin.choices import AlertRule
from apps.admin.models import AlertSilence
from apps.core.storage.mongo import collection_of, utc_now

audit = structlog.get_logger("collector.audit")

MAX_MINUTES = 43_200


def silence_rule(rule: AlertRule, *, minutes: int, silenced_by: str) -> datetime:
    """Silence a rule from now on, in place of an earlier silence; returns the end, UTC without zone."""
    until = utc_now() + timedelta(minutes=minutes)
    collection_of(AlertSilence).update_one(
        {"_id": rule.value},
        {"$set": {"silenced_until": until, "silenced_by": silenced_by}},
        upsert=True,
    )
    audit.info("alert_silenced", rule=rule.value, minutes=minutes, silenced_by=silenced_by)
    return until


def end_silence(rule: AlertRule, *, ended_by: str) -> None:
    """End the silence of a rule; may be repeated."""
    if collection_of(AlertSilence).delete_one({"_id": rule.value}).deleted_count:
        audit.info("alert_silence_ended", rule=rule.value, ended_by=ended_by)


def find_silence(rule: AlertRule) -> dict[str, Any] | None:
    """Return the current silence of a rule; None when it is not silenced."""
    return collection_of(AlertSilence).find_one({"_id": rule.value, "silenced_until": {"$gt": utc_now()}})
