"""What the addresses that start runs take and give, and those that look at what runs have collected."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from apps.core.api.serializers import ConfirmationField, GranularityField, StrictBooleanField
from apps.mengla.monitoring.coverage import CellState, Coverage
from apps.mengla.run_requests import RangeSerializer, SelectionSerializer

_STATES = [state.value for state in CellState]


class FullCrawlSerializer(SelectionSerializer):
    """What part of everything is meant."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        text = "A catId; empty or all for all categories taken together; null for every category of the tree."
        self.fields["catId"].help_text = text


class BackfillSerializer(RangeSerializer):
    """What shall be collected."""

    force = StrictBooleanField(required=False, default=False, help_text="Collect again what is fresh, too.")


class StartedRunSerializer(serializers.Serializer[Any]):
    """A sync task that was started."""

    sync_task_id = serializers.CharField()


class CoverageTotalsSerializer(serializers.Serializer[Any]):
    """How many figures (one action, category and period each) stand how."""

    present = serializers.IntegerField()
    empty = serializers.IntegerField()
    missing = serializers.IntegerField()
    stale = serializers.IntegerField(help_text="Of those stored: due for renewal.")
    in_flight = serializers.IntegerField(help_text="Of all: waiting or being collected.")


class CoverageSerializer(serializers.Serializer[Coverage]):
    """What is stored of a range."""

    granularity = GranularityField()
    startDate = serializers.SerializerMethodField(help_text="Period key.")
    endDate = serializers.SerializerMethodField(help_text="Period key.")
    categories = serializers.SerializerMethodField(help_text="How many categories were looked at.")
    status = serializers.DictField(
        source="combined",
        child=serializers.DictField(child=serializers.ChoiceField(choices=_STATES)),
        help_text=(
            "By action and period key. Of several categories: missing as long as any category's figures "
            "are, empty when none has any."
        ),
    )
    totals = CoverageTotalsSerializer()

    def get_startDate(self, coverage: Coverage) -> str:
        """Return the key of the first period."""
        return coverage.periods[0].key

    def get_endDate(self, coverage: Coverage) -> str:
        """Return the key of the last period."""
        return coverage.periods[-1].key

    def get_categories(self, coverage: Coverage) -> int:
        """Count the categories."""
        return len(coverage.cat_ids)


class CancelAllSerializer(serializers.Serializer[dict[str, Any]]):
    """That it is really meant."""

    confirm = ConfirmationField()


class CancelledAllSerializer(serializers.Serializer[Any]):
    """What was stopped."""

    runs = serializers.IntegerField(help_text="Sync tasks that were cancelled.")
    collections = serializers.IntegerField(help_text="Collections that were taken out of the queue.")
    in_flight = serializers.IntegerField(help_text="Collections the service is still at work on.")
    is_complete = serializers.BooleanField(help_text="False: there was too much for one time; repeat it.")
