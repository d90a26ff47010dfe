"""The alerts and the rules as they are shown: every rule, also one that has never fired."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pymongo import ASCENDING, DESCENDING

from apps.admin.alerts import outbox, readings
from apps.admin.alerts.catalogue import DEFINITIONS, keys_of, parse_key
from apps.admin.alerts.channels.configured import list_channels
from apps.admin.alerts.rules import Verdict
from apps.admin.alerts.silences import active_silences, silence_of
from apps.admin.alerts.words import NOT_EVALUATED, REASONS
from apps.admin.choices import SEVERITIES, AlertRule, AlertStatus, RuleState
from apps.admin.models import Alert, AlertNotice
from apps.core.storage.mongo import collection_of, count_each, utc_now

Document = dict[str, Any]
_EVER = datetime(1970, 1, 1)
_FAILURE = {"failed_at": 1, "error": 1, "error_parts": 1}
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
    silences = active_silences(now)
    return [
        _shown(alert, silence_of(silences, rule.value, alert["action"]))
        for rule in AlertRule
        for alert in [one for one in stored if one["rule"] == rule.value]
        or [{**_NEVER_FIRED, "rule": rule.value, "severity": SEVERITIES[rule].value}]
    ]


def list_rules() -> list[Document]:
    """Return every rule with what its last evaluation found; a row for each data set where they have alerts.

    ``value`` and ``threshold`` are in ``unit``. ``value`` is None, and ``reason`` says why, while too little
    is known; a rule may fire all the same until it is known to be well. ``message`` belongs to what fires.
    ``silence_key`` is the key of the silence in effect. Instants are UTC without zone. Nothing is evaluated.
    """
    alerts = {one["_id"]: one for one in collection_of(Alert).find({}, {"pending_events": 0})}
    silences, evaluated = active_silences(utc_now()), readings.read()
    return [
        _rule(key, alerts.get(key), evaluated.by_key.get(key), silence_of(silences, *_names(key)))
        for rule in AlertRule
        for key in keys_of(rule)
    ]


def find_rule(key: str) -> Document | None:
    """Return one row of :func:`list_rules`, or that of a whole rule; None when there is no such key."""
    try:
        rule, action = parse_key(key)
    except ValueError:
        return None
    if action or not DEFINITIONS[rule].is_by_action:
        return next(row for row in list_rules() if row["key"] == key)
    silence = silence_of(active_silences(utc_now()), rule.value, "")
    return _rule(key, None, None, silence)


def evaluated_at() -> datetime | None:
    """Return when the rules were last evaluated, UTC without zone; None for never."""
    return readings.read().evaluated_at


def channel_states() -> list[Document]:
    """Return every channel with the notices of the last day that it has delivered, not yet or not at all.

    Also those that are no longer configured, while they have notices. ``error`` is the problem of the last
    attempt that failed, if nothing was delivered since.
    """
    labels: dict[str, str | None] = {channel.id: channel.label for channel in list_channels()}
    former = sorted(set(collection_of(AlertNotice).distinct("channel")) - set(labels))
    return [_channel_state(name, label) for name, label in (labels | dict.fromkeys(former)).items()]


def _channel_state(name: str, label: str | None) -> Document:
    notices = collection_of(AlertNotice)
    waiting = {"channel": name, **outbox.WAITING}
    delivered = {"channel": name, "delivered_at": {"$gt": _EVER}}
    given_up = {"channel": name, "delivered_at": None, "given_up_at": {"$gt": _EVER}}
    counts = count_each(notices, [delivered, waiting, given_up])
    last = notices.find_one(delivered, {"delivered_at": 1}, sort=[("delivered_at", DESCENDING)])
    delivered_at = last["delivered_at"] if last else None
    # Of those that wait, the oldest one has been tried.
    failures = [
        notices.find_one(waiting, _FAILURE, sort=[("created_at", ASCENDING)]),
        notices.find_one(given_up, _FAILURE, sort=[("given_up_at", DESCENDING)]),
    ]
    failed = [
        one
        for one in failures
        if one and one["failed_at"] and (delivered_at is None or one["failed_at"] > delivered_at)
    ]
    failure = max(failed, key=lambda one: one["failed_at"], default={"error": "", "error_parts": None})
    return {
        "channel": name,
        "label": label or name,
        "is_configured": label is not None,
        **dict(zip(("delivered", "waiting", "given_up"), counts, strict=True)),
        "last_delivered_at": delivered_at,
        "error": failure["error"],
        "error_parts": failure["error_parts"],
    }


def _names(key: str) -> tuple[str, str]:
    rule, action = parse_key(key)
    return rule.value, action


def _rule(
    key: str,
    alert: Mapping[str, Any] | None,
    reading: Mapping[str, Any] | None,
    silence: Mapping[str, Any] | None,
) -> Document:
    rule, action = parse_key(key)
    definition = DEFINITIONS[rule]
    is_firing = alert is not None and alert["is_firing"]
    is_unknown = reading is None or reading["verdict"] == Verdict.UNKNOWN.value
    state = RuleState.UNKNOWN if is_unknown else RuleState.HEALTHY
    shown = alert if alert is not None and is_firing else {"message": "", "message_parts": None}
    known = reading or {
        **REASONS.stored(NOT_EVALUATED()),
        "value": None,
        "threshold": definition.threshold,
    }
    return {
        "key": key,
        "rule": rule.value,
        "action": action,
        "severity": SEVERITIES[rule].value,
        "watches": definition.watches,
        "state": RuleState.FIRING.value if is_firing else state.value,
        "unit": definition.unit.value,
        "value": known["value"],
        "threshold": known["threshold"],
        "setting": definition.setting,
        "reason": known["reason"] if is_unknown else "",
        "reason_parts": known["reason_parts"] if is_unknown else None,
        "message": shown["message"],
        "message_parts": shown.get("message_parts"),
        "firing_since": alert["fired_at"] if alert is not None and is_firing else None,
        "last_fired_at": alert["fired_at"] if alert is not None else None,
        "resolved_at": alert["resolved_at"] if alert is not None else None,
        "firings": alert["episode"] if alert is not None else 0,
        "silenced_until": silence["silenced_until"] if silence else None,
        "silenced_by": silence["silenced_by"] if silence else None,
        "silence_reason": silence.get("reason", "") if silence else "",
        "silence_key": silence["_id"] if silence else None,
    }


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
