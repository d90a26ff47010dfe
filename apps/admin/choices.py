"""The closed sets of values of this app, stored and shown in the API exactly as spelled here."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.mengla.choices import Action


class AlertRule(models.TextChoices):
    """The rules. Each one watches for one fault."""

    LOW_SUCCESS_RATE = "low_success_rate", _("Collections fail")
    CRITICAL_SUCCESS_RATE = "critical_success_rate", _("Many collections fail")
    HIGH_LATENCY = "high_latency", _("Collections take long")
    LOW_CACHE_HIT_RATE = "low_cache_hit_rate", _("Low cache hit rate")
    EMPTY_STREAK = "empty_streak", _("Only empty answers")
    QUEUE_STUCK = "queue_stuck", _("The queue is stuck")
    BREAKER_OPEN = "breaker_open", _("The breaker of the collection service is open")
    WORKER_SILENT = "worker_silent", _("No worker reports")
    WRONG_SIGNATURES = "wrong_signatures", _("Webhooks have a wrong signature")


class Severity(models.TextChoices):
    """How serious an alert is."""

    CRITICAL = "critical", _("Critical")
    WARNING = "warning", _("Warning")
    INFO = "info", _("Info")


class AlertStatus(models.TextChoices):
    """The state of an alert; SILENCED takes precedence over the others."""

    OK = "ok", _("OK")
    FIRING = "firing", _("Firing")
    RESOLVED = "resolved", _("Resolved")
    SILENCED = "silenced", _("Silenced")


class RuleState(models.TextChoices):
    """What the last evaluation of a rule found. FIRING lasts until an evaluation finds that all is well."""

    HEALTHY = "healthy", _("Healthy")
    FIRING = "firing", _("Firing")
    UNKNOWN = "unknown", _("Unknown")


class AlertEventKind(models.TextChoices):
    """What happened to an alert."""

    FIRED = "fired", _("Fired")
    RESOLVED = "resolved", _("Resolved")


SEVERITIES = {
    AlertRule.LOW_SUCCESS_RATE: Severity.WARNING,
    AlertRule.CRITICAL_SUCCESS_RATE: Severity.CRITICAL,
    AlertRule.HIGH_LATENCY: Severity.WARNING,
    AlertRule.LOW_CACHE_HIT_RATE: Severity.INFO,
    AlertRule.EMPTY_STREAK: Severity.WARNING,
    AlertRule.QUEUE_STUCK: Severity.CRITICAL,
    AlertRule.BREAKER_OPEN: Severity.CRITICAL,
    AlertRule.WORKER_SILENT: Severity.CRITICAL,
    AlertRule.WRONG_SIGNATURES: Severity.CRITICAL,
}


def name_of(rule: AlertRule | str, action: str = "") -> str:
    """Return the name of a rule for people, with its data set; no stored value raises an error."""
    name = str(AlertRule(rule).label) if rule in AlertRule.values else str(rule)
    if not action:
        return name
    data_set = str(Action(action).label) if action in Action.values else action
    return gettext("%(rule)s (%(data_set)s)") % {"rule": name, "data_set": data_set}
