"""What each rule watches, in words, with the unit of its values and the setting of its threshold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from django.conf import settings
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.admin.choices import AlertRule
from apps.core.printable import percent_text
from apps.core.storage.mongo import utc_now
from apps.core.time_texts import NOTHING, duration_text
from apps.mengla.choices import Action
from apps.mengla.monitoring.hourly import since_text
from apps.mengla.monitoring.webhook_counts import SUSPICIOUS_COUNT

SEPARATOR = ":"  # of the rule and the data set in a key
_MINUTE_SECONDS, _HOUR_SECONDS = 60, 3600


class Unit(StrEnum):
    """The unit of a rule's value and threshold."""

    SHARE = "share"  # 0 to 1, shown as a percentage
    SECONDS = "seconds"
    MINUTES = "minutes"
    COUNT = "count"


@dataclass(frozen=True, slots=True)
class Evidence:
    """A page that shows what a rule is about; ``path`` begins below the path of the admin.

    ``is_recent``: a list of what ended within the window of the rule.
    """

    label: str | Promise
    path: str
    is_recent: bool = False

    def narrowed(self, action: str, now: datetime) -> Evidence:
        """Return the list of one data set, if it is given, and of the window of the rule at that time."""
        path = self.path
        if action and "?" in path:
            path += f"&action={action}"
        if self.is_recent:
            path += f"&ended={since_text(now - timedelta(minutes=settings.ALERT_WINDOW_MINUTES))}"
        return replace(self, path=path)


@dataclass(frozen=True, slots=True)
class Definition:
    """One rule.

    ``watches`` says what it watches. ``setting`` is the variable of its threshold; empty if that is fixed.
    ``is_below``: the rule fires below its threshold; otherwise it fires from it on, or above it.
    """

    watches: str | Promise
    unit: Unit
    read_threshold: Callable[[], float]
    evidence: tuple[Evidence, ...]  # the best page first
    setting: str = ""
    is_below: bool = False
    is_by_action: bool = False  # each data set has an alert of its own

    @property
    def threshold(self) -> float:
        """The threshold of this process's settings."""
        return float(self.read_threshold())

    def evidence_of(self, action: str = "", *, now: datetime | None = None) -> tuple[Evidence, ...]:
        """Return the pages with the evidence at that time, those of one data set if it is given."""
        return tuple(one.narrowed(action, now or utc_now()) for one in self.evidence)


def _of_setting(
    name: str,
    watches: str | Promise,
    unit: Unit,
    *evidence: Evidence,
    is_below: bool = False,
    is_by_action: bool = False,
) -> Definition:
    return Definition(watches, unit, lambda: getattr(settings, name), evidence, name, is_below, is_by_action)


def _collections(label: Promise, status: str) -> Evidence:
    return Evidence(label, f"mengla/collection/?status={status}")


_DASHBOARD = Evidence(_("Dashboard"), "")
_FAILED_COLLECTIONS = _collections(_("Failed collections"), "FAILED")
_RECENTLY_FAILED = replace(_FAILED_COLLECTIONS, is_recent=True)


DEFINITIONS = {
    AlertRule.LOW_SUCCESS_RATE: _of_setting(
        "ALERT_SUCCESS_RATE_WARNING",
        _("The share of collections that got an answer recently. Empty answers count as answers."),
        Unit.SHARE,
        _RECENTLY_FAILED,
        _DASHBOARD,
        is_below=True,
    ),
    AlertRule.CRITICAL_SUCCESS_RATE: _of_setting(
        "ALERT_SUCCESS_RATE_CRITICAL",
        _("The same share, with the threshold at which most data is at risk."),
        Unit.SHARE,
        _RECENTLY_FAILED,
        _DASHBOARD,
        is_below=True,
    ),
    AlertRule.HIGH_LATENCY: _of_setting(
        "ALERT_LATENCY_SECONDS",
        _("The average time from a request to the collection service until its answer."),
        Unit.SECONDS,
        _DASHBOARD,
        _collections(_("Collections in flight"), "DISPATCHED"),
    ),
    AlertRule.LOW_CACHE_HIT_RATE: _of_setting(
        "ALERT_CACHE_HIT_RATE",
        _("The share of recent reads that were served from the caches or the database."),
        Unit.SHARE,
        _DASHBOARD,
        is_below=True,
    ),
    AlertRule.EMPTY_STREAK: _of_setting(
        "ALERT_EMPTY_STREAK",
        _("How many of the latest answers in a row had no figures."),
        Unit.COUNT,
        _collections(_("Empty collections"), "EMPTY"),
        is_by_action=True,
    ),
    AlertRule.QUEUE_STUCK: _of_setting(
        "ALERT_QUEUE_STUCK_MINUTES",
        _("How long the oldest collection has been waiting. A long backfill counts only if nothing moves."),
        Unit.MINUTES,
        _collections(_("Queued collections"), "PENDING"),
        _DASHBOARD,
    ),
    AlertRule.BREAKER_OPEN: _of_setting(
        "CB_FAILURE_THRESHOLD",
        _(
            "Failures in a row of the collection service. At the threshold, or at once if it refuses the "
            "key, the circuit breaker opens and nothing is collected."
        ),
        Unit.COUNT,
        _DASHBOARD,
        _FAILED_COLLECTIONS,
    ),
    AlertRule.WORKER_SILENT: _of_setting(
        "ALERT_WORKER_SILENT_SECONDS",
        _("How long ago a worker last reported. Without workers nothing is collected."),
        Unit.SECONDS,
        _DASHBOARD,
    ),
    AlertRule.WRONG_SIGNATURES: Definition(
        _("Webhooks of our own requests that had a wrong signature, since the last valid one."),
        Unit.COUNT,
        lambda: SUSPICIOUS_COUNT,
        (_collections(_("Collections in flight"), "DISPATCHED"), _DASHBOARD),
    ),
}


def keys_of(rule: AlertRule) -> list[str]:
    """Return the keys of a rule's alerts: one, or one for each data set."""
    if DEFINITIONS[rule].is_by_action:
        return [key_of(rule, action) for action in Action.values]
    return [rule.value]


def key_of(rule: AlertRule | str, action: str = "") -> str:
    """Return the key of the alert of a rule, or of one of its data sets."""
    return f"{rule}{SEPARATOR}{action}" if action else str(rule)


def parse_key(key: str) -> tuple[AlertRule, str]:
    """Return the rule and the data set of a key; the data set is empty for the rule as a whole.

    :raises ValueError: for a key that no rule has.
    """
    name, separator, action = key.partition(SEPARATOR)
    rule = AlertRule(name)
    if separator and key not in keys_of(rule):
        raise ValueError(key)
    return rule, action


def value_text(value: float | None, unit: Unit) -> str:
    """Return a value with its unit, as it is shown to people."""
    if value is None:
        return NOTHING
    if unit is Unit.SHARE:
        return percent_text(f"{value * 100:.1f}".removesuffix(".0"))
    if unit is Unit.COUNT:
        return f"{value:,.0f}"
    seconds = value * _MINUTE_SECONDS if unit is Unit.MINUTES else value
    if 0 <= seconds < _MINUTE_SECONDS and seconds == int(seconds):
        return gettext("%(count)d s") % {"count": seconds}
    if _MINUTE_SECONDS <= seconds < _HOUR_SECONDS and not seconds % _MINUTE_SECONDS:
        return gettext("%(minutes)d min") % {"minutes": seconds // _MINUTE_SECONDS}
    return duration_text(seconds)


def threshold_text(rule: AlertRule, threshold: float) -> str:
    """Return when the rule fires: ``below 95 %``, ``above 30.0 s`` or ``3 or more``."""
    definition = DEFINITIONS[rule]
    text = value_text(threshold, definition.unit)
    if definition.is_below:
        return gettext("below %(value)s") % {"value": text}
    if definition.unit is Unit.COUNT:
        return gettext("%(value)s or more") % {"value": text}
    return gettext("above %(value)s") % {"value": text}
