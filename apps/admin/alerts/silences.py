"""Silences: a rule that is being worked on is evaluated, and nobody is told."""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog

from apps.admin.choices import AlertRule
from apps.admin.models import AlertSilence
from apps.core.mongo import collection_of, utc_now

audit = structlog.get_logger("collector.audit")

MAX_MINUTES = 43_200


def silence_rule(rule: AlertRule, *, minutes: int, silenced_by: str) -> datetime:
    """Silence a rule from now on for so many minutes, instead of what held before; returns until when."""
    until = utc_now() + timedelta(minutes=minutes)
    collection_of(AlertSilence).update_one(
        {"_id": rule.value},
        {"$set": {"silenced_until": until, "silenced_by": silenced_by}},
        upsert=True,
    )
    audit.info("alert_silenced", rule=rule.value, minutes=minutes, silenced_by=silenced_by)
    return until
