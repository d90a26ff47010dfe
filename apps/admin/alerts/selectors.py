"""The alerts as they are shown: every rule, also one that has never fired."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from apps.admin.choices import SEVERITIES, AlertRule, AlertStatus
from apps.admin.models import Alert, AlertSilence
from apps.core.storage.mongo import collection_of, utc_now

Document = dict[str, Any]
_NEVER_FIRED: Mapping[str, Any] = {
    "action": "",
    "is_firing": False,
    "episode": 0,
    "message": "",
    "value": None,
    "threshold": None,
    "fired_at": None,
    "resolved_at": None,
    "updated_at": None,
}


def list_alerts() -> list[Document]:
    """Return every alert with its status and its silence, in the order of the rules."""
    now = utc_now()
    stored = list(collection_of(Alert).find({}, {"pending_events": 0}).sort("_id"))
    silences = {one["_id"]: one for one in collection_of(AlertSilence).find({"silenced_until": {"$gt": now}})}
    return [
        _shown(alert, silences.get(rule.value))
        for rule in AlertRule
        for alert in [one for one in stored if one["rule"] == rule.value]
        or [{**_NEVER_FIRED, "rule": rule.value, "severity": SEVERITIES[rule].value}]
    ]


def _shown(alert: Mapping[str, Any], silence: Mapping[str, Any] | None) -> Document:
    return {
        **alert,
        "status": _status_of(alert, silence),
        "silenced_until": silence["silenced_until"] if silence else None,
        "silenced_by": silence["silenced_by"] if silence else None,
    }


def _status_of(alert: Mapping[str, Any], silence: Mapping[str, Any] | None) -> AlertStatus:
    if silence is not None:
        return AlertStatus.SILENCED
    if alert["is_firing"]:
        return AlertStatus.FIRING
    resolved_at: datetime | None = alert["resolved_at"]
    return AlertStatus.OK if resolved_at is None else AlertStatus.RESOLVED
