"""Rules, channels and events as the pages show them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from apps.admin.alerts import evaluation, events, selectors
from apps.admin.alerts.catalogue import DEFINITIONS, Unit, parse_key, threshold_text, value_text
from apps.admin.alerts.words import MESSAGES, PROBLEMS, REASONS
from apps.admin.choices import AlertEventKind, AlertRule, RuleState, Severity, name_of
from apps.admin.pages.access import SEE_COLLECTIONS
from apps.core.admin_base.rights import may_view
from apps.core.storage.mongo import utc_now
from apps.core.time_texts import NOTHING, duration_text, instant_text, seconds_between

Document = dict[str, Any]
_EVENTS = 20
# A shape beside the word, so that a state is not told by its colour alone.
_SIGNS = {RuleState.HEALTHY: "✓", RuleState.FIRING: "▲", RuleState.UNKNOWN: "?"}


def list_page() -> Document:
    """Return what the list of all rules shows, what fires first; reads MongoDB."""
    evaluated_at = selectors.evaluated_at()
    rows = sorted(selectors.list_rules(), key=lambda row: row["state"] != RuleState.FIRING.value)
    states = [row["state"] for row in rows]
    return {
        "rows": [rule_row(row) for row in rows],
        "counts": [
            {"state": state.value, "sign": _SIGNS[state], "label": state.label, "count": states.count(state)}
            for state in (RuleState.FIRING, RuleState.HEALTHY, RuleState.UNKNOWN)
        ],
        "evaluated_at": instant_text(evaluated_at) if evaluated_at else "",
        "is_late": evaluated_at is not None and evaluation.is_late(evaluated_at, now=utc_now()),
        "channels": (channels := channel_rows()),
        "is_notifying": any(one["is_configured"] for one in channels),
    }


def rule_page(key: str, row: Mapping[str, Any]) -> Document:
    """Return what the page of one rule shows; reads MongoDB."""
    rule, action = parse_key(key)
    found = events.list_history(limit=_EVENTS + 1, rule=rule.value, action=action)
    shown = [event_row(one) for one in found[:_EVENTS]]
    return {"row": rule_row(row), "events": shown, "has_more": len(found) > _EVENTS}


def rule_row(row: Mapping[str, Any]) -> Document:
    """Return one rule in words."""
    rule, state = AlertRule(row["rule"]), RuleState(row["state"])
    unit, since = Unit(row["unit"]), row["firing_since"]
    return {
        "key": row["key"],
        "name": name_of(rule, row["action"]),
        "watches": row["watches"],
        "state": state.value,
        "sign": _SIGNS[state],
        "state_name": state.label,
        "severity": row["severity"],
        "severity_name": Severity(row["severity"]).label,
        "value": value_text(row["value"], unit),
        "threshold": threshold_text(rule, row["threshold"]),
        "setting": row["setting"],
        "message": MESSAGES.shown(row) if row["message"] else "",
        "reason": REASONS.shown(row) if row["reason"] else "",
        "since": instant_text(since) if since else "",
        "lasting": duration_text(seconds_between(since, utc_now())) if since else "",
        "last_fired_at": instant_text(row["last_fired_at"]),
        "resolved_at": instant_text(row["resolved_at"]),
        "firings": row["firings"],
        "silenced_until": instant_text(row["silenced_until"]) if row["silenced_until"] else "",
        "silenced_by": row["silenced_by"],
        "silence_reason": row["silence_reason"],
        "silence_key": row["silence_key"],
        "silence_name": name_of(*parse_key(row["silence_key"])) if row["silence_key"] else "",
    }


def evidence_links(request: HttpRequest, key: str) -> list[Document]:
    """Return the pages with the evidence that the user may see."""
    rule, action = parse_key(key)
    base, sees_collections = reverse("admin:index"), may_view(request, SEE_COLLECTIONS)
    links = [
        {"label": one.label, "address": base + one.path}
        for one in DEFINITIONS[rule].evidence_of(action)
        if sees_collections or not one.path.startswith("mengla/")
    ]
    if rule is AlertRule.BREAKER_OPEN and sees_collections:
        links.insert(0, {"label": _("Operations"), "address": reverse("admin:collector_operations")})
    return links


def event_row(event: Mapping[str, Any]) -> Document:
    """Return one event of the history in words."""
    kind = event["kind"]
    return {
        "at": instant_text(event["at"]),
        "kind": kind,
        "kind_name": AlertEventKind(kind).label if kind in AlertEventKind.values else kind,
        "sign": "▲" if kind == AlertEventKind.FIRED.value else "✓",
        "message": MESSAGES.shown(event),
        "is_silenced": event.get("is_silenced", False),
    }


def channel_rows() -> list[Document]:
    """Return every channel in words, with the notices of the last day."""
    return [
        {
            "label": one["label"],
            "is_configured": one["is_configured"],
            "is_bad": bool(one["error"]),
            "problem": PROBLEMS.shown(one) if one["error"] else "",
            "delivered": one["delivered"],
            "waiting": one["waiting"],
            "given_up": one["given_up"],
            "last_delivered_at": instant_text(one["last_delivered_at"]),
        }
        for one in selectors.channel_states()
    ]


def until_text(hours: int) -> str:
    """Return when a silence that begins now would end; a dash for what is no time."""
    return instant_text(utc_now() + timedelta(hours=hours)) if hours else NOTHING
