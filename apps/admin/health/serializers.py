"""What clients send to the health addresses and what they get."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework import serializers

from apps.core.api.serializers import DayField, QuerySerializer, UtcDateTimeField
from apps.core.liveness.bounded_reads import PartResult


class HealthQuerySerializer(QuerySerializer):
    """The day to report on."""

    examples: ClassVar = {"A day": {"date": "2025-06-30"}}

    date = DayField(required=False, help_text="A day in Asia/Shanghai; today by default.")


class PartSerializer(serializers.Serializer[PartResult]):
    """The data of one part, or the reason why there is none."""

    ok = serializers.BooleanField(source="available")
    error = serializers.CharField(allow_null=True, help_text="Why there is no data.")
    data = serializers.JSONField(allow_null=True)  # type: ignore[assignment]


class CollectHealthSerializer(serializers.Serializer[Any]):
    """The state of the collecting."""

    date = serializers.DateField()
    is_complete = serializers.BooleanField(help_text="Whether every part has data.")
    mongodb = PartSerializer(help_text="latency_ms")
    redis = PartSerializer(help_text="latency_ms")
    counts = PartSerializer(
        help_text="Of the day, by action: ended collections by outcome, and records written."
    )
    empty_streaks = PartSerializer(help_text="By action: the number of consecutive empty answers, up to 100.")
    queue = PartSerializer(help_text="pending, by_priority, in_flight, oldest_pending_seconds")
    in_flight = PartSerializer(help_text="The collections that the service is working on, at most 100.")
    recent_records = PartSerializer(help_text="The 20 newest records, without their figures.")
    breaker = PartSerializer(help_text="As in /admin/circuit-breakers.")
    workers = PartSerializer(help_text="The last heartbeat of every host's workers.")


class ProcessL1Serializer(serializers.Serializer[Any]):
    """The L1 cache of the responding process."""

    entries = serializers.IntegerField()
    bytes = serializers.IntegerField()
    max_entries = serializers.IntegerField()
    max_bytes = serializers.IntegerField()


class ProcessSerializer(serializers.Serializer[Any]):
    """The responding process."""

    host = serializers.CharField()
    pid = serializers.IntegerField()
    version = serializers.CharField()
    environment = serializers.CharField()
    python = serializers.CharField()
    started_at = UtcDateTimeField()
    uptime_seconds = serializers.FloatField()
    l1 = ProcessL1Serializer()


class SystemStatusSerializer(serializers.Serializer[Any]):
    """The state of the installation."""

    is_complete = serializers.BooleanField(help_text="Whether every part has data.")
    process = ProcessSerializer()
    mongodb = PartSerializer(help_text="Latency, version and sizes of our database.")
    redis = PartSerializer(help_text="Latency, version, memory, keys.")
    web_processes = PartSerializer(help_text="The number of live web processes on all hosts.")
    clusters = PartSerializer(help_text="The running worker clusters.")
    workers = PartSerializer(help_text="The last heartbeat of every host's workers.")
    queue = PartSerializer(help_text="pending, by_priority, in_flight, oldest_pending_seconds")
    sync_tasks = PartSerializer(help_text="The number of stored sync tasks, by status.")
    scheduler = PartSerializer(help_text="Whether the schedules are paused, and by whom.")
    breaker = PartSerializer(help_text="As in /admin/circuit-breakers.")
