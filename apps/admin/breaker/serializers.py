"""What the addresses of the circuit breakers give."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from apps.core.api.serializers import UtcDateTimeField


class BreakerSerializer(serializers.Serializer[Any]):
    """One circuit breaker."""

    name = serializers.CharField()
    state = serializers.ChoiceField(choices=["closed", "open", "half_open"])
    failures = serializers.IntegerField(help_text="In a row.")
    successes = serializers.IntegerField(help_text="In a row, while it is half-open.")
    failure_threshold = serializers.IntegerField(help_text="So many failures in a row open it.")
    success_threshold = serializers.IntegerField(help_text="So many successes in a row close it again.")
    open_seconds = serializers.FloatField(help_text="How long it stays open before it lets a probe through.")
    next_probe_seconds = serializers.FloatField(help_text="0 unless it is open.")
    next_probe_at = UtcDateTimeField(allow_null=True)


class BreakersSerializer(serializers.Serializer[Any]):
    """All circuit breakers; there is one, of the collection service."""

    breakers = BreakerSerializer(many=True)
