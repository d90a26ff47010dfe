"""Moves the pending events of alerts to the history, the log and the outbox."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog
from pymongo.errors import DuplicateKeyError

from apps.admin.alerts import outbox
from apps.admin.choices import AlertEventKind
from apps.admin.models import Alert, AlertEvent
from apps.core.storage.mongo import collection_of

logger = structlog.get_logger("collector.alerts")

_HISTORY_FIELDS = (
    *("_id", "kind", "rule", "action", "severity", "message", "message_parts", "value", "threshold", "at"),
    "is_silenced",
)
_OUTBOX_FIELDS = (
    *("kind", "rule", "action", "severity", "message", "message_parts", "value", "threshold", "at"),
)
Document = dict[str, Any]


def hand_over_events() -> int:
    """Hand over every event that is pending in its alert; returns how many this call finished.

    Each step may be repeated: when a process is killed halfway, the next check completes its work.
    """
    alerts = collection_of(Alert)
    finished = 0
    for alert in alerts.find({"pending_events.0": {"$exists": True}}, {"pending_events": 1}):
        for event in alert["pending_events"]:
            if not event["is_in_history"]:
                _insert_once({name: event.get(name) for name in _HISTORY_FIELDS})
            if event["is_told"]:
                outbox.enqueue({name: event.get(name) for name in _OUTBOX_FIELDS}, event["_id"])
            removed = alerts.update_one(
                {"_id": alert["_id"], "pending_events._id": event["_id"]},
                {"$pull": {"pending_events": {"_id": event["_id"]}}},
            )
            if removed.modified_count:
                _log(event)
                finished += 1
    return finished


def list_history(*, limit: int, rule: str = "", action: str = "") -> list[Document]:
    """Return the newest events, the newest first; those of one rule or of one of its data sets if given."""
    wanted = {name: value for name, value in (("rule", rule), ("action", action)) if value}
    # The natural order of a capped MongoDB collection is the order of the inserts.
    return list(collection_of(AlertEvent).find(wanted).sort("$natural", -1).limit(limit))


def _insert_once(event: Document) -> None:
    try:
        collection_of(AlertEvent).insert_one(event)
    except DuplicateKeyError:
        return  # an earlier call has inserted it


def _log(event: Mapping[str, Any]) -> None:
    is_fired = event["kind"] == AlertEventKind.FIRED
    write = logger.warning if is_fired else logger.info
    write(
        "alert_fired" if is_fired else "alert_resolved",
        rule=event["rule"],
        action=event["action"],
        severity=event["severity"],
        message=event["message"],
        is_silenced=event["is_silenced"],
    )
