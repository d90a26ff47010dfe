"""`manage.py alerts`: list the rules and their history, and silence a rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from apps.admin.alerts import evaluation
from apps.admin.alerts.events import list_history
from apps.admin.alerts.selectors import list_alerts
from apps.admin.alerts.serializers import (
    MAX_HISTORY,
    AlertHistorySerializer,
    AlertsSerializer,
    SilenceSerializer,
)
from apps.admin.alerts.silences import MAX_MINUTES, end_silence, find_silence, silence_rule
from apps.admin.alerts.words import MESSAGES
from apps.admin.choices import AlertEventKind, AlertRule, AlertStatus, Severity
from apps.core.management.arguments import one_of, whole_number
from apps.core.management.base import OPERATOR, ExitCode
from apps.core.management.colours import Tone, Toned
from apps.core.management.subcommands import Options, Result, SubcommandsMixin
from apps.core.management.tables import format_table
from apps.core.time_texts import instant_text

_MINUTES_PER_HOUR = 60
_DEFAULT_HOURS = 24
_DEFAULT_EVENTS = 20
_TONES = {
    AlertStatus.OK: Tone.GOOD,
    AlertStatus.RESOLVED: Tone.GOOD,
    AlertStatus.FIRING: Tone.BAD,
    AlertStatus.SILENCED: Tone.NOTICE,
}


class Command(SubcommandsMixin):
    """Shows the alerts, and silences them."""

    help = gettext_noop("List the alert rules with their state, show what fired, and silence a rule.")
    subcommands: ClassVar = {
        "list": gettext_noop("list all rules with their state, value, threshold and silence"),
        "history": gettext_noop("list what fired and what was resolved, the newest first"),
        "silence": gettext_noop("send no notices of a rule for some hours, also before it fires"),
        "unsilence": gettext_noop("end the silence of a rule"),
    }
    asking = frozenset({"silence", "unsilence"})
    examples = ("alerts list", "alerts history --limit 50", "alerts silence breaker_open --hours 2 --yes")

    def add_history(self, parser: CommandParser) -> None:
        """Add the number of events."""
        parser.add_argument(
            "--limit",
            type=whole_number(1, MAX_HISTORY),
            default=_DEFAULT_EVENTS,
            metavar="N",
            help=_("number of events to list, at most %(limit)d (default: %%(default)s)")
            % {"limit": MAX_HISTORY},
        )

    def add_silence(self, parser: CommandParser) -> None:
        """Add the rule and the hours."""
        _add_rule(parser)
        parser.add_argument(
            "--hours",
            type=whole_number(1, MAX_MINUTES // _MINUTES_PER_HOUR),
            default=_DEFAULT_HOURS,
            metavar="H",
            help=_("for how many hours (default: %(default)s)"),
        )

    def add_unsilence(self, parser: CommandParser) -> None:
        """Add the rule."""
        _add_rule(parser)

    def do_list(self, _options: Options) -> Result:
        """List every rule, also when all is well."""
        alerts, checked_at = list_alerts(), evaluation.last_checked_at()
        titles = [
            *(_("rule"), _("data set"), _("severity"), _("state"), _("value"), _("threshold")),
            *(_("since"), _("silenced until"), _("message")),
        ]
        table = format_table(titles, [_alert_row(one) for one in alerts])
        checked = _("Checked at %(at)s.") % {"at": instant_text(checked_at)}
        text = f"{table}\n\n{checked if checked_at else _('Not checked yet.')}"
        result = AlertsSerializer({"alerts": alerts, "checked_at": checked_at}).data
        return result, text, ExitCode.DONE

    def do_history(self, options: Options) -> Result:
        """List the events."""
        events = list_history(limit=options["limit"])
        rows = [
            (
                instant_text(one["at"]),
                Toned(str(AlertEventKind(one["kind"]).label), _tone_of_event(one)),
                one["rule"],
                one["action"],
                Severity(one["severity"]).label,
                MESSAGES.shown(one),
            )
            for one in events
        ]
        titles = [_("at"), _("event"), _("rule"), _("data set"), _("severity"), _("message")]
        text = format_table(titles, rows) if rows else _("No alert has fired yet.")
        return AlertHistorySerializer({"events": events}).data, text, ExitCode.DONE

    def do_silence(self, options: Options) -> Result:
        """Silence a rule; it need not fire."""
        rule, hours = AlertRule(options["rule"]), options["hours"]
        facts = {"rule": rule.value, "hours": hours}
        self.confirm(_("Silence %(rule)s for %(hours)d hours?") % facts, options)
        until = silence_rule(rule, minutes=hours * _MINUTES_PER_HOUR, silenced_by=OPERATOR)
        silence = {"rule_name": rule.value, "silenced_until": until, "silenced_by": OPERATOR}
        silence |= {"action": "", "reason": ""}
        text = _("Silenced %(rule)s until %(at)s.") % {"rule": rule.value, "at": instant_text(until)}
        return SilenceSerializer(silence).data, text, ExitCode.DONE

    def do_unsilence(self, options: Options) -> Result:
        """End the silence of a rule."""
        rule = AlertRule(options["rule"])
        result = {"rule_name": rule.value, "silenced_until": None, "silenced_by": None}
        if find_silence(rule) is None:
            return result, _("%(rule)s is not silenced.") % {"rule": rule.value}, ExitCode.DONE
        self.confirm(_("End the silence of %(rule)s?") % {"rule": rule.value}, options)
        end_silence(rule, ended_by=OPERATOR)
        return result, _("Ended the silence of %(rule)s.") % {"rule": rule.value}, ExitCode.DONE


def _add_rule(parser: CommandParser) -> None:
    parser.add_argument(
        "rule",
        type=one_of(lambda: list(AlertRule.values)),
        metavar="RULE",
        help=", ".join(AlertRule.values),
    )


def _alert_row(alert: Mapping[str, Any]) -> tuple[object, ...]:
    status = AlertStatus(alert["status"])
    since = alert["fired_at"] if alert["is_firing"] else alert["resolved_at"]
    return (
        alert["rule"],
        alert["action"],
        Severity(alert["severity"]).label,
        Toned(str(status.label), _TONES[status]),
        _number(alert["value"]),
        _number(alert["threshold"]),
        instant_text(since),
        instant_text(alert["silenced_until"]),
        MESSAGES.shown(alert) if alert["is_firing"] or alert["resolved_at"] else "",
    )


def _tone_of_event(event: Mapping[str, Any]) -> Tone:
    return Tone.BAD if event["kind"] == AlertEventKind.FIRED else Tone.GOOD


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.10g}"
