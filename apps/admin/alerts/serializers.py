"""What clients send to the alerts' addresses and what they get."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from apps.admin.alerts.silences import MAX_MINUTES
from apps.admin.alerts.words import MESSAGES
from apps.admin.choices import AlertEventKind, AlertRule, AlertStatus, Severity
from apps.core.api.serializers import QuerySerializer, StrictIntegerField, UtcDateTimeField

MAX_HISTORY = 1000
_DEFAULT_HISTORY = 100


class MessageField(serializers.CharField):
    """What an alert says, in the language of the reader."""

    def __init__(self) -> None:
        super().__init__(source="*")

    def to_representation(self, value: Any) -> str:
        """Put what is stored into words."""
        return MESSAGES.shown(value)


class AlertSerializer(serializers.Serializer[Any]):
    """One alert and how it stands."""

    rule = serializers.ChoiceField(choices=AlertRule.choices)
    action = serializers.CharField(help_text="For a rule of each action; otherwise empty.")
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


class AlertsSerializer(serializers.Serializer[Any]):
    """All alerts, and when they were checked last."""

    alerts = AlertSerializer(many=True)
    checked_at = UtcDateTimeField(allow_null=True)


class AlertCheckSerializer(AlertsSerializer):
    """The same after a check, with what it has changed."""

    fired = serializers.ListField(child=serializers.CharField())
    resolved = serializers.ListField(child=serializers.CharField())


class HistoryQuerySerializer(QuerySerializer):
    """How much of the history."""

    limit = serializers.IntegerField(
        required=False, default=_DEFAULT_HISTORY, min_value=1, max_value=MAX_HISTORY
    )


class AlertEventSerializer(serializers.Serializer[Any]):
    """One line of the history."""

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
    """The history, the newest first."""

    events = AlertEventSerializer(many=True)


class SilenceBodySerializer(serializers.Serializer[Any]):
    """Which rule to silence, and for how long."""

    rule_name = serializers.ChoiceField(choices=AlertRule.choices)
    duration_minutes = StrictIntegerField(min_value=1, max_value=MAX_MINUTES)


class SilenceSerializer(serializers.Serializer[Any]):
    """A rule that is silenced."""

    rule_name = serializers.ChoiceField(choices=AlertRule.choices)
    silenced_until = UtcDateTimeField()
    silenced_by = serializers.CharField()
