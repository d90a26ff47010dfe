"""What clients send to the alerts' addresses and what they get."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework import serializers

from apps.admin.alerts.catalogue import Unit
from apps.admin.alerts.silences import MAX_MINUTES, MAX_REASON
from apps.admin.alerts.words import MESSAGES, PROBLEMS, REASONS
from apps.admin.choices import AlertEventKind, AlertRule, AlertStatus, RuleState, Severity
from apps.core.api.openapi.rules import equals, given, when
from apps.core.api.serializers import (
    ExactSerializer,
    QuerySerializer,
    StrictChoiceField,
    StrictIntegerField,
    StrictTextField,
    UrlIntegerField,
    UtcDateTimeField,
)
from apps.mengla.choices import Action

MAX_HISTORY = 1000
_ACTION_RULES = [when(given("action"), equals("rule_name", AlertRule.EMPTY_STREAK.value))]
_DEFAULT_HISTORY = 100


class MessageField(serializers.CharField):
    """The message of an alert, in the reader's language."""

    def __init__(self) -> None:
        super().__init__(source="*")

    def to_representation(self, value: Any) -> str:
        """Return the text of the stored message."""
        return MESSAGES.shown(value)


class ReasonField(serializers.CharField):
    """Why a rule could not be judged, in the reader's language."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"source": "*"} | kwargs)

    def to_representation(self, value: Any) -> str:
        """Return the text of the stored reason."""
        return REASONS.shown(value)


class ProblemField(serializers.CharField):
    """Why a notice was not delivered, in the reader's language."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"source": "*"} | kwargs)

    def to_representation(self, value: Any) -> str:
        """Return the text of the stored problem."""
        return PROBLEMS.shown(value)


class AlertSerializer(serializers.Serializer[Any]):
    """One alert and its state."""

    rule = serializers.ChoiceField(choices=AlertRule.choices)
    action = serializers.CharField(help_text="Set for rules that are evaluated by action; otherwise empty.")
    severity = serializers.ChoiceField(choices=Severity.choices)
    status = serializers.ChoiceField(choices=AlertStatus.choices)
    is_firing = serializers.BooleanField(help_text="Whether the condition holds, silenced or not.")
    message = MessageField()
    value = serializers.FloatField(allow_null=True)
    threshold = serializers.FloatField(allow_null=True)
    fired_at = UtcDateTimeField(allow_null=True)
    resolved_at = UtcDateTimeField(allow_null=True)
    updated_at = UtcDateTimeField(allow_null=True)
    silenced_until = UtcDateTimeField(allow_null=True)
    silenced_by = serializers.CharField(allow_null=True)


class AlertListSerializer(serializers.Serializer[Any]):
    """All alerts, and when they were checked last."""

    alerts = AlertSerializer(many=True)
    checked_at = UtcDateTimeField(allow_null=True)


class AlertRuleSerializer(serializers.Serializer[Any]):
    """One rule with what its last evaluation found; rules with alerts by data set have one for each."""

    key = serializers.CharField(help_text="The rule, or rule:action for one data set.")
    rule = serializers.ChoiceField(choices=AlertRule.choices)
    action = serializers.CharField(help_text="Set for rules that are evaluated by action; otherwise empty.")
    severity = serializers.ChoiceField(choices=Severity.choices)
    watches = serializers.CharField(help_text="What the rule watches, in words.")
    state = serializers.ChoiceField(choices=RuleState.choices)
    unit = serializers.ChoiceField(choices=[unit.value for unit in Unit])
    value = serializers.FloatField(allow_null=True)
    threshold = serializers.FloatField()
    setting = serializers.CharField(help_text="The variable of the threshold; empty if it is fixed.")
    reason = ReasonField(help_text="Why the last evaluation could not judge the rule; empty if it could.")
    message = MessageField()
    firing_since = UtcDateTimeField(allow_null=True)
    last_fired_at = UtcDateTimeField(allow_null=True)
    resolved_at = UtcDateTimeField(allow_null=True)
    silenced_until = UtcDateTimeField(allow_null=True)
    silenced_by = serializers.CharField(allow_null=True)
    silence_reason = serializers.CharField()


class ChannelSerializer(serializers.Serializer[Any]):
    """One channel with what became of its notices of the last day."""

    channel = serializers.CharField(help_text="webhook, or the scheme and a fingerprint of an address.")
    is_configured = serializers.BooleanField()
    delivered = serializers.IntegerField()
    waiting = serializers.IntegerField()
    given_up = serializers.IntegerField()
    last_delivered_at = UtcDateTimeField(allow_null=True)
    problem = ProblemField(help_text="Of the last attempt that failed; empty if the channel works.")


class AlertRuleListSerializer(serializers.Serializer[Any]):
    """All rules, when they were evaluated last, and the channels."""

    rules = AlertRuleSerializer(many=True)
    evaluated_at = UtcDateTimeField(allow_null=True)
    channels = ChannelSerializer(many=True)


class ChannelResultSerializer(serializers.Serializer[Any]):
    """What became of a test notice on one channel."""

    channel = serializers.CharField()
    is_delivered = serializers.BooleanField()
    reason = serializers.CharField(help_text="Why it was not delivered; empty if it was.")
    seconds = serializers.FloatField()


class AlertTestSerializer(serializers.Serializer[Any]):
    """The results of a test notice."""

    channels = ChannelResultSerializer(many=True)


class AlertCheckSerializer(AlertListSerializer):
    """All alerts after a check, with the keys of those that fired and resolved."""

    fired = serializers.ListField(child=serializers.CharField())
    resolved = serializers.ListField(child=serializers.CharField())


class HistoryQuerySerializer(QuerySerializer):
    """How many events of the history to return."""

    examples: ClassVar = {"The newest": {"limit": 20}}

    limit = UrlIntegerField(required=False, default=_DEFAULT_HISTORY, min_value=1, max_value=MAX_HISTORY)


class AlertEventSerializer(serializers.Serializer[Any]):
    """One event of the history."""

    id = serializers.CharField(source="_id")
    kind = serializers.ChoiceField(choices=AlertEventKind.choices)
    rule = serializers.ChoiceField(choices=AlertRule.choices)
    action = serializers.CharField()
    severity = serializers.ChoiceField(choices=Severity.choices)
    message = MessageField()
    value = serializers.FloatField(allow_null=True)
    threshold = serializers.FloatField(allow_null=True)
    is_silenced = serializers.BooleanField()
    at = UtcDateTimeField()


class AlertHistorySerializer(serializers.Serializer[Any]):
    """The history, newest event first."""

    events = AlertEventSerializer(many=True)


class SilenceBodySerializer(ExactSerializer):
    """Which rule to silence, for how long and why."""

    examples: ClassVar = {
        "A rule": {
            "rule_name": "queue_stuck",
            "duration_minutes": 60,
            "reason": "Maintenance of the service",
        },
        "One data set": {"rule_name": "empty_streak", "action": "hot", "duration_minutes": 1440},
    }

    openapi_rules: ClassVar = _ACTION_RULES

    rule_name = StrictChoiceField(choices=AlertRule.choices)
    duration_minutes = StrictIntegerField(min_value=1, max_value=MAX_MINUTES)
    action = StrictChoiceField(choices=Action.choices, required=False, default="", allow_blank=True)
    reason = StrictTextField(required=False, default="", allow_blank=True, max_length=MAX_REASON)


class EndSilenceBodySerializer(ExactSerializer):
    """The silence of which rule to end."""

    examples: ClassVar = {"A rule": {"rule_name": "queue_stuck"}}
    openapi_rules: ClassVar = _ACTION_RULES

    rule_name = StrictChoiceField(choices=AlertRule.choices)
    action = StrictChoiceField(choices=Action.choices, required=False, default="", allow_blank=True)


class EndedSilenceSerializer(serializers.Serializer[Any]):
    """A rule that is no longer silenced."""

    rule_name = serializers.ChoiceField(choices=AlertRule.choices)
    action = serializers.CharField()
    was_silenced = serializers.BooleanField()


class SilenceSerializer(serializers.Serializer[Any]):
    """A silenced rule."""

    rule_name = serializers.ChoiceField(choices=AlertRule.choices)
    action = serializers.CharField(help_text="The data set that is silenced; empty for the whole rule.")
    silenced_until = UtcDateTimeField()
    silenced_by = serializers.CharField()
    reason = serializers.CharField()
