"""Requests and responses of the addresses that start and cancel runs, and of the coverage."""

from __future__ import annotations

from typing import Any, ClassVar

from django.utils.translation import gettext as _
from rest_framework import serializers

from apps.core import market_clock
from apps.core.api.openapi.rules import given, when
from apps.core.api.serializers import (
    ConfirmationField,
    ExactSerializer,
    GranularityField,
    StrictBooleanField,
    StrictTextField,
)
from apps.core.periods import PeriodError, parse_days
from apps.mengla.monitoring.coverage import CellState, Coverage
from apps.mengla.queries.plans import Plan
from apps.mengla.run_requests import CollectRangeSerializer, FilterListField, SelectionSerializer
from apps.mengla.runs.collect import full_crawl_plan

_MAX_TEXT = 64
_MAX_GRANULARITIES = 16  # they may be named twice
_DAYS = ("startDate", "endDate")
_STATES = [state.value for state in CellState]


class FullCrawlSerializer(SelectionSerializer):
    """The part of everything to collect."""

    examples: ClassVar = {
        "The latest complete periods": {},
        "Months of a category": {
            "catId": 4200,
            "actions": ["hot", "high"],
            "granularities": ["month", "quarter"],
            "startDate": "2025-01-01",
            "endDate": "2025-06-30",
        },
    }

    # Both or neither: one of them alone is refused.
    openapi_rules: ClassVar = [
        when(given("startDate"), given("endDate")),
        when(given("endDate"), given("startDate")),
    ]

    startDate = StrictTextField(
        required=False,
        allow_null=True,
        max_length=_MAX_TEXT,
        help_text="First day, or a period for its first day. Absent: the last closed periods.",
    )
    endDate = StrictTextField(
        required=False,
        allow_null=True,
        max_length=_MAX_TEXT,
        help_text="Last day, or a period for its last day; required with `startDate`.",
    )
    granularities = FilterListField(
        child=GranularityField(max_length=_MAX_TEXT), max_length=_MAX_GRANULARITIES
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        text = "A catId; empty or all for all categories taken together; null for every category of the tree."
        self.fields["catId"].help_text = text

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Parse the two days; one of them alone is an error."""
        days = [attrs.get(name) for name in _DAYS]
        if days == [None, None]:
            return attrs | {"days": None}
        missing = {name: [_("Required with the other date.")] for name in _DAYS if attrs.get(name) is None}
        if missing:
            raise serializers.ValidationError(missing)
        try:
            return attrs | {"days": parse_days(*days, names=_DAYS)}
        except PeriodError as error:
            raise serializers.ValidationError(error.fields) from error

    def plan(self) -> Plan:
        """Return the plan; call after ``is_valid``.

        :raises InvalidInput: for an unknown category or an impossible range.
        """
        return full_crawl_plan(
            market_clock.today(),
            selection=self.selection(),
            granularities=self.validated_data.get("granularities") or (),
            days=self.validated_data["days"],
            names=_DAYS,
        )


class BackfillSerializer(CollectRangeSerializer):
    """What to collect."""

    examples: ClassVar = {
        "Every category": {"granularity": "month", "startDate": "2025-01", "endDate": "2025-02"},
        "One category, again": {
            "granularity": "quarter",
            "startDate": "2025-Q1",
            "endDate": "2025-Q2",
            "catId": 4200,
            "actions": ["hot"],
            "force": True,
        },
    }

    force = StrictBooleanField(required=False, default=False, help_text="Collect fresh figures again, too.")


class StartedRunSerializer(serializers.Serializer[Any]):
    """A sync task that was started."""

    sync_task_id = serializers.CharField()


class CoverageTotalsSerializer(serializers.Serializer[Any]):
    """The number of figures (one action, category and period each) in each state."""

    present = serializers.IntegerField()
    empty = serializers.IntegerField()
    missing = serializers.IntegerField()
    stale = serializers.IntegerField(help_text="Stored figures that are stale.")
    provisional = serializers.IntegerField(
        help_text="Stored figures that were collected before their period was over."
    )
    due = serializers.IntegerField(
        help_text="Provisional figures whose period is over: fills and gap checks collect them again."
    )
    in_flight = serializers.IntegerField(help_text="Figures in any state that are queued or being collected.")
    queued = serializers.IntegerField(help_text="Those of `in_flight` that wait in the queue.")
    dispatched = serializers.IntegerField(
        help_text="Those of `in_flight` that the collection service is working on."
    )
    failed = serializers.IntegerField(
        help_text="Missing or stale figures whose newest collection failed, and of which none is under way."
    )
    gaps = serializers.IntegerField(
        help_text="What a fill would collect: missing, due, or empty and stale, and not under way."
    )


class CoverageSerializer(serializers.Serializer[Coverage]):
    """What is stored of a range."""

    granularity = GranularityField()
    startDate = serializers.SerializerMethodField(help_text="Period key.")
    endDate = serializers.SerializerMethodField(help_text="Period key.")
    categories = serializers.SerializerMethodField(help_text="Number of categories.")
    status = serializers.DictField(
        source="combined",
        child=serializers.DictField(child=serializers.ChoiceField(choices=_STATES)),
        help_text=(
            "By action and period key. For several categories: missing while the figures of any category "
            "are missing, empty when no category has figures."
        ),
    )
    failed = serializers.DictField(
        source="failed_periods",
        child=serializers.ListField(child=serializers.CharField()),
        help_text="By action, the keys of the periods with failed figures; an action without any is absent.",
    )
    totals = CoverageTotalsSerializer()

    def get_startDate(self, coverage: Coverage) -> str:
        """Return the key of the first period."""
        return coverage.periods[0].key

    def get_endDate(self, coverage: Coverage) -> str:
        """Return the key of the last period."""
        return coverage.periods[-1].key

    def get_categories(self, coverage: Coverage) -> int:
        """Return the number of categories."""
        return len(coverage.cat_ids)


class CancelAllSerializer(ExactSerializer):
    """The confirmation."""

    examples: ClassVar = {"Everything": {"confirm": True}}

    confirm = ConfirmationField()


class CancelledAllSerializer(serializers.Serializer[Any]):
    """What was cancelled."""

    runs = serializers.IntegerField(help_text="Sync tasks that were cancelled.")
    collections = serializers.IntegerField(help_text="Collections that were removed from the queue.")
    in_flight = serializers.IntegerField(help_text="Collections that the service is still working on.")
    is_complete = serializers.BooleanField(help_text="False when more is left: repeat the request.")
