"""What the addresses that tell how everything is take and give."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from apps.core.api.serializers import DayField, QuerySerializer, UtcDateTimeField
from apps.core.liveness.bounded_reads import PartResult


class HealthQuerySerializer(QuerySerializer):
    """Which day is looked at."""

    date = DayField(required=False, help_text="A day in Asia/Shanghai; today unless told.")


class PartSerializer(serializers.Serializer[PartResult]):
    """What one part has answered, or why it has not."""

    ok = serializers.BooleanField(source="available")
    error = serializers.CharField(allow_null=True, help_text="Why there is no data.")
    data = serializers.JSONField(allow_null=True)  # type: ignore[assignment]


class CollectHealthSerializer(serializers.Serializer[Any]):
    """How the collecting goes."""

    date = serializers.DateField()
    is_complete = serializers.BooleanField(help_text="Whether every part has answered.")
    mongodb = PartSerializer(help_text="latency_ms")
    redis = PartSerializer(help_text="latency_ms")
    counts = PartSerializer(
        help_text="By action, of the day: collections by how they ended, and records written."
    )
    empty_streaks = PartSerializer(help_text="By action: how many answers in a row were empty, up to 100.")
    queue = PartSerializer(help_text="pending, by_priority, in_flight, oldest_pending_seconds")
    in_flight = PartSerializer(help_text="What the collection service is at work on, at most 100.")
    recent_records = PartSerializer(help_text="The 20 records written last, without their figures.")
    breaker = PartSerializer(help_text="As in /admin/circuit-breakers.")
    workers = PartSerializer(help_text="The last sign of life of every host's workers.")


class ProcessL1Serializer(serializers.Serializer[Any]):
    """What the answering process keeps itself."""

    entries = serializers.IntegerField()
    bytes = serializers.IntegerField()
    max_entries = serializers.IntegerField()


class ProcessSerializer(serializers.Serializer[Any]):
    """The process that answers."""

    host = serializers.CharField()
    pid = serializers.IntegerField()
    version = serializers.CharField()
    environment = serializers.CharField()
    python = serializers.CharField()
    started_at = UtcDateTimeField()
    uptime_seconds = serializers.FloatField()
    l1 = ProcessL1Serializer()


class SystemStatusSerializer(serializers.Serializer[Any]):
    """How the installation is."""

    is_complete = serializers.BooleanField(help_text="Whether every part has answered.")
    process = ProcessSerializer()
    mongodb = PartSerializer(help_text="Latency, version and sizes of our database.")
    redis = PartSerializer(help_text="Latency, version, memory, keys.")
    web_processes = PartSerializer(help_text="How many are alive, on all hosts.")
    clusters = PartSerializer(help_text="The running worker clusters.")
    workers = PartSerializer(help_text="The last sign of life of every host's workers.")
    queue = PartSerializer(help_text="pending, by_priority, in_flight, oldest_pending_seconds")
    sync_tasks = PartSerializer(help_text="How many runs are kept, by status.")
    scheduler = PartSerializer(help_text="Whether the schedules are paused, and by whom.")
    breaker = PartSerializer(help_text="As in /admin/circuit-breakers.")
