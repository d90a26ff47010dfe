"""`manage.py alerts`: list the rules, their channels and their history; silence a rule, test the channels."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any, ClassVar

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from apps.admin.alerts import silences
from apps.admin.alerts.catalogue import SEPARATOR, Unit, keys_of, parse_key, threshold_text, value_text
from apps.admin.alerts.events import list_history
from apps.admin.alerts.selectors import channel_states, evaluated_at, list_rules
from apps.admin.alerts.serializers import (
    MAX_HISTORY,
    AlertHistorySerializer,
    AlertRuleListSerializer,
    AlertTestSerializer,
    EndedSilenceSerializer,
    SilenceSerializer,
)
from apps.admin.alerts.trial import send_test
from apps.admin.alerts.words import MESSAGES, PROBLEMS, REASONS
from apps.admin.choices import AlertEventKind, AlertRule, RuleState, Severity
from apps.core.management.arguments import shown, whole_number
from apps.core.management.base import OPERATOR, ExitCode
from apps.core.management.colours import Tone, Toned
from apps.core.management.subcommands import Options, Result, SubcommandsMixin
from apps.core.management.tables import format_table
from apps.core.printable import has_unprintable, list_text, sentences_text
from apps.core.time_texts import instant_text

_MINUTES_PER_HOUR = 60
_DEFAULT_HOURS = 24
_DEFAULT_EVENTS = 20
_TONES = {RuleState.HEALTHY: Tone.GOOD, RuleState.FIRING: Tone.BAD}


class Command(SubcommandsMixin):
    """Shows the alerts, and silences them."""

    help = gettext_noop(
        "List the alert rules with their state and the channels, show what fired, silence a rule, or send a "
        "test notice."
    )
    subcommands: ClassVar = {
        "list": gettext_noop("list all rules with state, value, threshold and silence, and the channels"),
        "history": gettext_noop("list what fired and what was resolved, the newest first"),
        "silence": gettext_noop("send no notices of a rule for some hours, also before it fires"),
        "unsilence": gettext_noop("end the silence of a rule"),
        "test": gettext_noop("send a test notice to every channel, and show the results"),
    }
    asking = frozenset({"silence", "unsilence", "test"})
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
        """Add the rule, the hours and the reason."""
        _add_rule(parser)
        parser.add_argument(
            "--hours",
            type=whole_number(1, silences.MAX_MINUTES // _MINUTES_PER_HOUR),
            default=_DEFAULT_HOURS,
            metavar="H",
            help=_("for how many hours (default: %(default)s)"),
        )
        parser.add_argument(
            "--reason", type=_reason, default="", metavar="TEXT", help=_("why, for others who see it")
        )

    def add_unsilence(self, parser: CommandParser) -> None:
        """Add the rule."""
        _add_rule(parser)

    def do_list(self, _options: Options) -> Result:
        """List every rule, also when all is well, and the channels of notices."""
        rules, at, channels = list_rules(), evaluated_at(), channel_states()
        titles = [
            *(_("rule"), _("severity"), _("state"), _("value"), _("threshold")),
            *(_("since"), _("silenced until"), _("message")),
        ]
        lines = [format_table(titles, [_rule_row(one) for one in rules]), ""]
        lines.append(_("Evaluated at %(at)s.") % {"at": instant_text(at)} if at else _("Not evaluated yet."))
        if channels:
            titles = [
                _("channel"),
                _("delivered"),
                _("waiting"),
                _("given up"),
                _("last delivered"),
                _("problem"),
            ]
            lines += ["", format_table(titles, [_channel_row(one) for one in channels])]
        else:
            lines.append(_("No channel is configured: notices are sent to nobody."))
        found = {"rules": rules, "evaluated_at": at, "channels": channels}
        return AlertRuleListSerializer(found).data, "\n".join(lines), ExitCode.DONE

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
        """Silence a rule, or one of its data sets; it need not fire."""
        (rule, action), hours, reason = options["rule"], options["hours"], options["reason"]
        facts = {"rule": _named(rule, action), "hours": hours}
        question = _("Silence %(rule)s for %(hours)d hours?") % facts
        replaced = silences.replaced_text(rule, action, minutes=hours * _MINUTES_PER_HOUR)
        self.confirm(sentences_text(filter(None, (question, replaced))), options)
        until = silences.silence_rule(
            rule, minutes=hours * _MINUTES_PER_HOUR, silenced_by=OPERATOR, action=action, reason=reason
        )
        silence = {"rule_name": rule.value, "action": action, "silenced_until": until, "reason": reason}
        text = _("Silenced %(rule)s until %(at)s.") % (facts | {"at": instant_text(until)})
        return SilenceSerializer(silence | {"silenced_by": OPERATOR}).data, text, ExitCode.DONE

    def do_unsilence(self, options: Options) -> Result:
        """End the silence of a rule, or of one of its data sets."""
        rule, action = options["rule"]
        facts = {"rule": _named(rule, action)}
        was_silenced = silences.find_silence(rule, action) is not None
        if was_silenced:
            self.confirm(_("End the silence of %(rule)s?") % facts, options)
            was_silenced = silences.end_silence(rule, action=action, ended_by=OPERATOR)
        text = _("Ended the silence of %(rule)s.") if was_silenced else _("%(rule)s is not silenced.")
        ended = {"rule_name": rule.value, "action": action, "was_silenced": was_silenced}
        return EndedSilenceSerializer(ended).data, text % facts, ExitCode.DONE

    def do_test(self, options: Options) -> Result:
        """Send a test notice."""
        self.confirm(_("Send a test notice to every channel?"), options)
        results = send_test(sent_by=OPERATOR)
        failed = [one for one in results if not one.is_delivered]
        rows = [
            (
                one.label,
                Toned(_("delivered"), Tone.GOOD) if one.is_delivered else Toned(_("not delivered"), Tone.BAD),
                f"{one.seconds:.1f}",
                one.reason,
            )
            for one in results
        ]
        text = format_table([_("channel"), _("state"), _("seconds"), _("problem")], rows)
        code = ExitCode.DONE if not failed else ExitCode.PARTLY_FAILED
        if len(failed) == len(results):
            code = ExitCode.FAILED
        return AlertTestSerializer({"channels": results}).data, text, code


def _add_rule(parser: CommandParser) -> None:
    parser.add_argument(
        "rule",
        type=_rule_key,
        metavar="RULE",
        help=_("%(names)s; RULE:DATA_SET for one data set of a rule that has them")
        % {"names": list_text(AlertRule.values)},
    )


def _rule_key(text: str) -> tuple[AlertRule, str]:
    try:
        return parse_key(text)
    except ValueError as error:
        name, separator, _data_set = text.partition(SEPARATOR)
        message = _("%(text)s is unknown: use one of %(names)s")
        names = list(AlertRule.values)
        if separator and name in names:
            names = list(dict.fromkeys([name, *keys_of(AlertRule(name))]))
            if names == [name]:
                message = _("%(text)s is unknown: the rule has no data sets, use %(names)s")
        values = {"text": shown(text), "names": list_text(names)}
        raise argparse.ArgumentTypeError(message % values) from error


def _reason(text: str) -> str:
    if len(text) > silences.MAX_REASON or has_unprintable(text):
        limit = {"count": silences.MAX_REASON}
        raise argparse.ArgumentTypeError(_("Reason: at most %(count)d printable characters.") % limit)
    return text.strip()


def _named(rule: AlertRule, action: str) -> str:
    return f"{rule.value} ({action})" if action else rule.value


def _rule_row(rule: Mapping[str, Any]) -> tuple[object, ...]:
    state = RuleState(rule["state"])
    message = MESSAGES.shown(rule) if state is RuleState.FIRING else REASONS.shown(rule)
    if state is RuleState.FIRING and rule["reason"]:
        message = sentences_text((message, REASONS.shown(rule)))  # why there is no value
    return (
        rule["key"],
        Severity(rule["severity"]).label,
        Toned(str(state.label), _TONES.get(state, Tone.NOTICE)),
        value_text(rule["value"], Unit(rule["unit"])),
        threshold_text(AlertRule(rule["rule"]), rule["threshold"]),
        instant_text(rule["firing_since"]),
        instant_text(rule["silenced_until"]),
        message,
    )


def _channel_row(channel: Mapping[str, Any]) -> tuple[object, ...]:
    counts = (channel["delivered"], channel["waiting"], channel["given_up"])
    return (channel["label"], *counts, instant_text(channel["last_delivered_at"]), PROBLEMS.shown(channel))


def _tone_of_event(event: Mapping[str, Any]) -> Tone:
    return Tone.BAD if event["kind"] == AlertEventKind.FIRED else Tone.GOOD
