"""What clients get from the addresses of the circuit breakers."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from apps.core.api.serializers import UtcDateTimeField


class BreakerSerializer(serializers.Serializer[Any]):
    """One circuit breaker."""

    name = serializers.CharField()
    state = serializers.ChoiceField(choices=["closed", "open", "half_open"])
    failures = serializers.IntegerField(help_text="Consecutive failures.")
    successes = serializers.IntegerField(help_text="Consecutive successes while it is half-open.")
    failure_threshold = serializers.IntegerField(
        help_text="The number of consecutive failures that opens it."
    )
    success_threshold = serializers.IntegerField(
        help_text="The number of consecutive successes that closes it."
    )
    open_seconds = serializers.FloatField(help_text="How long it stays open before it lets a probe through.")
    next_probe_seconds = serializers.FloatField(help_text="0 unless it is open.")
    next_probe_at = UtcDateTimeField(allow_null=True)
    reason = serializers.CharField(
        allow_null=True,
        help_text="The error that opened it, named as in collections; null when it is closed.",
    )
    since = UtcDateTimeField(
        allow_null=True,
        help_text="Since when it has this reason; a probe that fails for the same reason does not change it.",
    )
    message = serializers.CharField(
        allow_null=True, help_text="The reason as a text; null when it is closed."
    )


class BreakerListSerializer(serializers.Serializer[Any]):
    """All circuit breakers; there is one, for the collection service."""

    breakers = BreakerSerializer(many=True)


class ResetSerializer(BreakerListSerializer):
    """All circuit breakers after a request to reset them."""

    changed = serializers.BooleanField(help_text="False if there was nothing to reset.")
