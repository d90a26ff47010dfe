"""The text of a notice for people, and the addresses in it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import quote

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import override

from apps.admin.alerts.catalogue import DEFINITIONS, key_of, threshold_text, value_text
from apps.admin.alerts.words import MESSAGES
from apps.admin.choices import AlertEventKind, AlertRule, Severity, name_of
from apps.core.time_texts import instant_text

TEST = "test"  # the kind of an event that somebody has asked for
_TYPES = {Severity.CRITICAL: "failure", Severity.WARNING: "warning", Severity.INFO: "info"}


class NoticeText(NamedTuple):
    """A message: title, body, and its type: failure, warning, info or success."""

    title: str
    body: str
    type: str


def notice_text(event: Mapping[str, Any]) -> NoticeText:
    """Return the message of an event, in the language of LANGUAGE_CODE."""
    with override(settings.LANGUAGE_CODE):
        return NoticeText(_title(event), _body(event), _type(event))


def page_address(event: Mapping[str, Any]) -> str:
    """Return the address of the page of the event's rule; of the list of all rules for a test."""
    key = key_of(event["rule"], event["action"]) if event["rule"] else ""
    return admin_address(f"alerts/{quote(key)}/" if key else "alerts/")


def evidence_address(event: Mapping[str, Any]) -> str | None:
    """Return the address of the page that shows what the event is about; None for a test."""
    if event["rule"] not in AlertRule.values:
        return None
    evidence = DEFINITIONS[AlertRule(event["rule"])].evidence_of(event["action"], now=event["at"])
    return admin_address(evidence[0].path)


def admin_address(path: str) -> str:
    """Return the address of a page of the admin; the path begins below the admin's own."""
    return f"{settings.APP_BASEURL}/{settings.ADMIN_PATH}{path}"


def _title(event: Mapping[str, Any]) -> str:
    if event["kind"] == TEST:
        return _("Test notice")
    name = name_of(event["rule"], event["action"])
    if event["kind"] == AlertEventKind.RESOLVED.value:
        return _("Resolved: %(name)s") % {"name": name}
    severity = event["severity"]
    label = str(Severity(severity).label) if severity in Severity.values else severity
    return _("%(severity)s: %(name)s") % {"severity": label, "name": name}


def _body(event: Mapping[str, Any]) -> str:
    lines = [MESSAGES.shown(event), *_facts(event), "", page_address(event)]
    evidence = evidence_address(event)
    if evidence is not None:
        lines.append(evidence)
    return "\n".join(lines)


def _facts(event: Mapping[str, Any]) -> list[str]:
    facts = []
    at: datetime | None = event["at"]
    if at is not None:
        facts.append(_("Time: %(time)s") % {"time": instant_text(at)})
    if event["rule"] in AlertRule.values and event["threshold"] is not None:
        rule = AlertRule(event["rule"])
        words = {
            "value": value_text(event["value"], DEFINITIONS[rule].unit),
            "threshold": threshold_text(rule, event["threshold"]),
        }
        facts.append(_("Value: %(value)s (fires: %(threshold)s)") % words)
    return facts


def _type(event: Mapping[str, Any]) -> str:
    if event["kind"] == AlertEventKind.RESOLVED.value:
        return "success"
    if event["severity"] in Severity.values:
        return _TYPES[Severity(event["severity"])]
    return "info"
