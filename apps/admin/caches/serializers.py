"""Requests and responses of the addresses of the caches."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework import serializers

from apps.admin.metrics.serializers import ReadsSerializer
from apps.core.api.serializers import DigitsField, ExactSerializer, GranularityField, StrictIntegerField
from apps.mengla.run_requests import ActionsField, FilterListField
from apps.mengla.runs.warm_up import DEFAULT_LIMIT, MAX_LIMIT

_MAX_TEXT = 64
_MAX_CATEGORIES = 1000
_MAX_GRANULARITIES = 4


class WarmUpSerializer(ExactSerializer):
    """Which figures to put into the shared cache."""

    examples: ClassVar = {
        "The newest": {"limit": 500},
        "Months of two categories": {
            "catIds": [4200, "4201"],
            "actions": ["hot"],
            "granularities": ["month"],
        },
    }

    actions = ActionsField()
    catIds = FilterListField(
        child=DigitsField(max_length=_MAX_TEXT, allow_blank=True),
        max_length=_MAX_CATEGORIES,
        help_text=(
            "Categories of every level when absent or null; all stands for all categories taken together. "
            "An empty list is an error."
        ),
    )
    granularities = FilterListField(
        child=GranularityField(max_length=_MAX_TEXT), max_length=_MAX_GRANULARITIES
    )
    limit = StrictIntegerField(
        required=False,
        default=DEFAULT_LIMIT,
        min_value=1,
        max_value=MAX_LIMIT,
        help_text="Maximum number of records, the newest first.",
    )


class ProcessTierSerializer(serializers.Serializer[Any]):
    """L1 of the process that handles the request; every web process has its own."""

    process = serializers.CharField(help_text="host:pid")
    entries = serializers.IntegerField()
    bytes = serializers.IntegerField(help_text="Size of the entries, plain and compressed.")
    max_entries = serializers.IntegerField()
    max_bytes = serializers.IntegerField()
    ttl_seconds = serializers.FloatField()


class SharedTierSerializer(serializers.Serializer[Any]):
    """L2, which is in Redis."""

    groups = serializers.IntegerField(help_text="Redis keys: one per record, or per trend with all ranges.")
    entries = serializers.IntegerField()
    bytes = serializers.IntegerField(help_text="Memory in Redis.")
    is_complete = serializers.BooleanField(
        help_text="False when there is more than could be counted in two seconds."
    )


class CacheReadsSerializer(ReadsSerializer):
    """The reads of today (Asia/Shanghai) by their sources, over all processes."""

    counts = None  # type: ignore[assignment]


class CacheStatsSerializer(serializers.Serializer[Any]):
    """What the caches hold now."""

    l1 = ProcessTierSerializer()
    l2 = SharedTierSerializer()
    today = CacheReadsSerializer()


class ClearedSerializer(serializers.Serializer[Any]):
    """The confirmation that all processes were notified."""

    cleared = serializers.BooleanField()
