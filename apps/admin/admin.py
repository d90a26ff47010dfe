"""Alerts in the Django admin: their states, silences, history, and the notices for the webhook."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet, TextChoices
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop, ngettext

from apps.admin.alerts.channels.notice_text import TEST
from apps.admin.alerts.silences import (
    active_silences,
    end_silence,
    find_silence,
    replaced_text,
    silence_of,
    silence_rule,
)
from apps.admin.alerts.words import MESSAGES, PROBLEMS
from apps.admin.choices import AlertEventKind, AlertRule, Severity, name_of
from apps.admin.models import Alert, AlertEvent, AlertNotice, AlertSilence
from apps.admin.scheduler import pages as _pages_of_schedules  # noqa: F401 - importing registers them
from apps.core.admin_base.display import Coloured, coloured
from apps.core.admin_base.model_admin import LargeReadOnlyAdmin, ReadOnlyAdmin
from apps.core.admin_base.operations import Operation, OperationsMixin
from apps.core.errors import Conflict
from apps.core.printable import sentences_text
from apps.core.storage.mongo import utc_now
from apps.core.stored_messages import HISTORY, Message
from apps.core.time_texts import instant_text

_SILENCES_MINUTES = (60, 24 * 60)
_MINUTES_PER_HOUR = 60
SEVERITY_COLOURS: dict[str, str] = {
    Severity.INFO: "info",
    Severity.WARNING: "warning",
    Severity.CRITICAL: "danger",
}


_SILENCED = HISTORY.register("rule_silenced", gettext_noop("“%(rule)s” is silenced until %(time)s."))
_SILENCE_ENDED = HISTORY.register("silence_ended", gettext_noop("“%(rule)s” is no longer silenced."))


def _silence(minutes: int) -> Operation:
    hours = minutes // _MINUTES_PER_HOUR

    def run(alert: Alert, user: str) -> Message:
        until = silence_rule(AlertRule(alert.rule), minutes=minutes, silenced_by=user)
        return _SILENCED(rule=AlertRule(alert.rule).label, time=instant_text(until))

    def ask(alert: Alert) -> str:
        words = {"rule": AlertRule(alert.rule).label, "hours": hours}
        text = ngettext(
            "Silence “%(rule)s” for %(hours)d hour?", "Silence “%(rule)s” for %(hours)d hours?", hours
        )
        replaced = replaced_text(AlertRule(alert.rule), "", minutes=minutes)
        return sentences_text(filter(None, (text % words, replaced)))

    return Operation(
        slug=f"silence-{hours}h",
        label=_("Silence for 1 hour") if hours == 1 else _("Silence for 1 day"),
        confirm_text=ask,
        run=run,
    )


def _end_silence(alert: Alert, user: str) -> Message:
    if not end_silence(AlertRule(alert.rule), ended_by=user):
        raise Conflict(_not_silenced(alert))
    return _SILENCE_ENDED(rule=AlertRule(alert.rule).label)


def _not_silenced(alert: Alert) -> str:
    return _now("“%(rule)s” is not silenced.") % {"rule": AlertRule(alert.rule).label}


@admin.register(Alert)
class AlertAdmin(OperationsMixin[Alert], ReadOnlyAdmin[Alert]):
    """Every alert that has ever fired, the firing ones first."""

    list_display = ("rule", "action", "state", "level", "text", "fired", "resolved", "episode")
    list_filter = ("is_firing", "severity")
    ordering = ("-is_firing", "-fired_at", "id")
    fields = (
        "rule",
        "action",
        "state",
        "level",
        "text",
        "value",
        "threshold",
        "fired",
        "resolved",
        "silenced",
        "episode",
    )
    operations = (
        *map(_silence, _SILENCES_MINUTES),
        Operation(
            slug="end-silence",
            label=_("End the silence"),
            confirm_text=lambda alert: (
                _now("End the silence of “%(rule)s”?") % {"rule": AlertRule(alert.rule).label}
            ),
            run=_end_silence,
            refusal=lambda alert: "" if find_silence(AlertRule(alert.rule)) else _not_silenced(alert),
        ),
    )

    @coloured(_("state"), {"firing": "danger", "resolved": "success"})
    def state(self, alert: Alert) -> Coloured:
        """Return whether it is firing."""
        return Coloured(("firing", _now("Firing")) if alert.is_firing else ("resolved", _now("Resolved")))

    @coloured(_("severity"), SEVERITY_COLOURS)
    def level(self, alert: Alert) -> Coloured:
        """Return its severity."""
        return Coloured((alert.severity, str(Severity(alert.severity).label)))

    @admin.display(description=_("message"))
    def text(self, alert: Alert) -> str:
        """Return its message in the language of the reader."""
        return MESSAGES.shown(vars(alert))

    @admin.display(description=_("fired at"))
    def fired(self, alert: Alert) -> str:
        """Return when it last began to fire."""
        return instant_text(alert.fired_at)

    @admin.display(description=_("resolved at"))
    def resolved(self, alert: Alert) -> str:
        """Return when it ended."""
        return instant_text(alert.resolved_at)

    @admin.display(description=_("silenced"))
    def silenced(self, alert: Alert) -> str:
        """Return when the silence ends, and who set it."""
        silence = silence_of(active_silences(utc_now()), alert.rule, alert.action)
        if silence is None:
            return "-"
        words = {"time": instant_text(silence["silenced_until"]), "user": silence["silenced_by"]}
        return _now("until %(time)s, by %(user)s") % words


@admin.register(AlertEvent)
class AlertEventAdmin(LargeReadOnlyAdmin[AlertEvent]):
    """The history, newest first; MongoDB keeps 1000 events."""

    list_display = ("instant", "kind", "rule", "action", "level", "text", "is_silenced")
    fields = ("instant", "kind", "rule", "action", "level", "text", "value", "threshold", "is_silenced")
    ordering = ("-id",)

    @admin.display(description=_("at"))
    def instant(self, event: AlertEvent) -> str:
        """Return when it happened."""
        return instant_text(event.at)

    @coloured(_("severity"), SEVERITY_COLOURS)
    def level(self, event: AlertEvent) -> Coloured:
        """Return its severity."""
        return Coloured((event.severity, str(Severity(event.severity).label)))

    @admin.display(description=_("message"))
    def text(self, event: AlertEvent) -> str:
        """Return its message in the language of the reader."""
        return MESSAGES.shown(vars(event))


@admin.register(AlertSilence)
class AlertSilenceAdmin(ReadOnlyAdmin[AlertSilence]):
    """The silences in effect."""

    list_display = ("rule", "until", "silenced_by", "reason")
    fields = list_display
    ordering = ("id",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[AlertSilence]:
        """Leave out those that are over and not deleted yet."""
        return super().get_queryset(request).filter(silenced_until__gt=timezone.now())

    @admin.display(description=_("rule"))
    def rule(self, silence: AlertSilence) -> str:
        """Return the name of the rule."""
        return str(silence)

    @admin.display(description=_("silenced until"))
    def until(self, silence: AlertSilence) -> str:
        """Return when the silence ends."""
        return instant_text(silence.silenced_until)


@admin.register(AlertNotice)
class AlertNoticeAdmin(LargeReadOnlyAdmin[AlertNotice]):
    """The notices for each channel, and whether they were delivered. Kept for a day."""

    list_display = ("created", "channel", "event_name", "result", "attempts", "delivered", "problem")
    fields = list_display
    ordering = ("-created_at", "-id")

    @admin.display(description=_("created at"))
    def created(self, notice: AlertNotice) -> str:
        """Return when the notice was created."""
        return instant_text(notice.created_at)

    @admin.display(description=_("delivered at"))
    def delivered(self, notice: AlertNotice) -> str:
        """Return when the receiver accepted it."""
        return instant_text(notice.delivered_at)

    @coloured(_("state"), {"delivered": "success", "waiting": "info", "given_up": "danger"})
    def result(self, notice: AlertNotice) -> Coloured:
        """Return what became of it."""
        if notice.delivered_at is not None:
            return Coloured(("delivered", _now("Delivered")))
        if notice.given_up_at is not None:
            return Coloured(("given_up", _now("Failed")))
        return Coloured(("waiting", _now("Waiting")))

    @admin.display(description=_("problem"))
    def problem(self, notice: AlertNotice) -> str:
        """Return why the last attempt failed, in the language of the reader."""
        return PROBLEMS.shown(vars(notice)) if notice.error and notice.delivered_at is None else "-"

    @admin.display(description=_("event"))
    def event_name(self, notice: AlertNotice) -> str:
        """Return the event in words."""
        if notice.kind == TEST:
            return _now("Test notice")
        names = (name_of(notice.rule, notice.action), _name(AlertEventKind, notice.kind))
        return " ".join(filter(None, names))

    def get_queryset(self, request: HttpRequest) -> QuerySet[AlertNotice]:
        """Leave out the event itself: it holds an instant, which a JSON field cannot read."""
        return super().get_queryset(request).defer("event")


def _name(choices: type[TextChoices], value: str) -> str:
    return str(choices(value).label) if value in choices.values else value
