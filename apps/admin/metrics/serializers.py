"""What clients send to the metrics' addresses and what they get."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework import serializers

from apps.admin.metrics.summary import MAX_DAYS
from apps.core.api.serializers import QuerySerializer, UrlIntegerField


class DaysQuerySerializer(QuerySerializer):
    """The days to report on."""

    examples: ClassVar = {"A week": {"days": 7}}

    days = UrlIntegerField(
        required=False,
        default=1,
        min_value=1,
        max_value=MAX_DAYS,
        help_text="The number of days (Asia/Shanghai), today included.",
    )


class DurationsSerializer(serializers.Serializer[Any]):
    """Durations in seconds; a percentile is at most 2.3 % from the true one. None without durations."""

    count = serializers.IntegerField()
    mean_seconds = serializers.FloatField(allow_null=True)
    p50_seconds = serializers.FloatField(allow_null=True)
    p90_seconds = serializers.FloatField(allow_null=True)
    p95_seconds = serializers.FloatField(allow_null=True)
    p99_seconds = serializers.FloatField(allow_null=True)


class SeriesSerializer(serializers.Serializer[Any]):
    """The measured durations."""

    reads = DurationsSerializer(help_text="Of reads, without those that asked to wait.")
    collections = DurationsSerializer(help_text="From a request to the collection service to its answer.")


class LatencySerializer(SeriesSerializer):
    """The durations of the last days."""

    days = serializers.IntegerField()


class ReadCountSerializer(serializers.Serializer[Any]):
    """The number of reads with one source and result."""

    action = serializers.CharField()
    source = serializers.CharField(  # type: ignore[assignment]
        help_text="l1, l2, l3, miss or refresh."
    )
    result = serializers.CharField(
        help_text="fresh, stale, empty, collecting, collected, failed, unavailable."
    )
    count = serializers.IntegerField()


class TierCountsSerializer(serializers.Serializer[Any]):
    """The number of reads that each tier served."""

    l1 = serializers.IntegerField()
    l2 = serializers.IntegerField()
    l3 = serializers.IntegerField()


class ReadsSerializer(serializers.Serializer[Any]):
    """The reads."""

    total = serializers.IntegerField()
    hits = serializers.IntegerField(help_text="Served by a tier.")
    misses = serializers.IntegerField(help_text="Nothing was stored.")
    stale = serializers.IntegerField(help_text="Served with stale figures.")
    by_tier = TierCountsSerializer()
    hit_rate = serializers.FloatField(allow_null=True, help_text="Without reads that skip the caches.")
    counts = ReadCountSerializer(many=True)


class CollectionCountSerializer(serializers.Serializer[Any]):
    """The number of collections with one outcome; those cancelled together have no action and no source."""

    action = serializers.CharField(allow_blank=True)
    source = serializers.CharField(  # type: ignore[assignment]
        allow_blank=True, help_text="reader, manual, scheduled or backfill."
    )
    outcome = serializers.CharField()
    reason = serializers.CharField(allow_blank=True)
    count = serializers.IntegerField()


class EndedCollectionsSerializer(serializers.Serializer[Any]):
    """The collections that ended."""

    total = serializers.IntegerField()
    succeeded = serializers.IntegerField()
    empty = serializers.IntegerField()
    failed = serializers.IntegerField()
    recovered = serializers.IntegerField(
        help_text="Counted as failed or empty before; its figures came later."
    )
    spared = serializers.IntegerField(help_text="No request was needed any more.")
    cancelled = serializers.IntegerField()
    success_rate = serializers.FloatField(
        allow_null=True, help_text="The share of the requested collections that got an answer."
    )
    counts = CollectionCountSerializer(many=True)


class RetryCountSerializer(serializers.Serializer[Any]):
    """The number of attempts that failed for one reason and were retried."""

    action = serializers.CharField()
    source = serializers.CharField()  # type: ignore[assignment]
    reason = serializers.CharField()
    count = serializers.IntegerField()


class RetriesSerializer(serializers.Serializer[Any]):
    """The attempts that failed and were retried."""

    total = serializers.IntegerField()
    counts = RetryCountSerializer(many=True)


class MetricsPeriodSerializer(serializers.Serializer[Any]):
    """The counts of one day, or of all days together (then date is null)."""

    date = serializers.DateField(allow_null=True)
    reads = ReadsSerializer()
    collections = EndedCollectionsSerializer()
    retries = RetriesSerializer()
    durations = SeriesSerializer()


class MetricsSerializer(serializers.Serializer[Any]):
    """The counts, newest day first."""

    days = MetricsPeriodSerializer(many=True)
    total = MetricsPeriodSerializer()
