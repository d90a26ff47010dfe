"""The request bodies that differ from those of our own API."""

from __future__ import annotations

from apps.admin.alerts.silences import MAX_MINUTES
from apps.admin.choices import AlertRule
from apps.auth.passwords import validation
from apps.compat.periods import days_until_today, widened_range
from apps.core import market_clock
from apps.core.api.serializers import (
    ExactSerializer,
    GranularityField,
    StrictChoiceField,
    StrictIntegerField,
    StrictTextField,
)
from apps.core.periods import Granularity, Period
from apps.mengla.queries.plans import Plan
from apps.mengla.run_requests import ActionsField, FilterListField
from apps.mengla.runs.collect import MAX_RANGE_PERIODS, Selection, full_crawl_plan, select

_MAX_TEXT = 64
_MAX_LIST = 16  # names may be given twice
_DATES = ("startDate", "endDate")
DEFAULT_LABEL = "api"
DEFAULT_SILENCE_MINUTES = 60


class NewTokenSerializer(ExactSerializer):
    """A new API token; a lifetime of null means the longest, and a longer one is shortened to it."""

    label = StrictTextField(default=DEFAULT_LABEL, trim_whitespace=True)  # type: ignore[assignment]
    expires_hours = StrictIntegerField(min_value=1, allow_null=True, default=validation.EXPIRES_HOURS_DEFAULT)

    def lifetime_hours(self) -> int:
        """Return the lifetime that the token gets; call after ``is_valid``."""
        wanted = self.validated_data["expires_hours"]
        longest = validation.EXPIRES_HOURS_MAX
        return longest if wanted is None else min(wanted, longest)


class SilenceSerializer(ExactSerializer):
    """Which rule to silence, and for how long."""

    rule_name = StrictChoiceField(choices=AlertRule.choices)
    duration_minutes = StrictIntegerField(min_value=1, max_value=MAX_MINUTES, default=DEFAULT_SILENCE_MINUTES)


class _SelectionSerializer(ExactSerializer):
    """The selected category and actions; without a category, all categories taken together."""

    catId = StrictTextField(required=False, allow_null=True, allow_blank=True, max_length=_MAX_TEXT)
    actions = ActionsField()

    def selection(self) -> Selection:
        """Return the selection; call after ``is_valid``.

        :raises InvalidInput: for an unknown category.
        """
        data = self.validated_data
        return select(cat_ids=[data.get("catId") or ""], actions=data.get("actions") or ())


class RangeSerializer(_SelectionSerializer):
    """A range of periods, whose ends may be any days of them, and the selected figures."""

    granularity = GranularityField(max_length=_MAX_TEXT)
    startDate = StrictTextField(max_length=_MAX_TEXT)
    endDate = StrictTextField(max_length=_MAX_TEXT)

    def periods(self) -> tuple[Period, Period]:
        """Return the first and the last period; call after ``is_valid``.

        :raises InvalidInput: as :func:`apps.compat.periods.widened_range` does.
        """
        data = self.validated_data
        return widened_range(
            data["startDate"],
            data["endDate"],
            data["granularity"],
            fields=_DATES,
            limit=MAX_RANGE_PERIODS,
        )


class BackfillSerializer(ExactSerializer):
    """Days to collect, and the actions."""

    start_date = StrictTextField(max_length=_MAX_TEXT)
    end_date = StrictTextField(max_length=_MAX_TEXT)
    interfaces = ActionsField()

    def periods(self) -> tuple[Period, Period]:
        """Return the first and the last day; call after ``is_valid``. Raises as RangeSerializer does."""
        data = self.validated_data
        return widened_range(
            data["start_date"],
            data["end_date"],
            Granularity.DAY,
            fields=("start_date", "end_date"),
            limit=MAX_RANGE_PERIODS,
        )

    def selection(self) -> Selection:
        """Return the selected actions, for all categories taken together."""
        return select(cat_ids=[""], actions=self.validated_data.get("interfaces") or ())


class FullCrawlSerializer(_SelectionSerializer):
    """A range of days, and the granularities whose periods it touches."""

    granularities = FilterListField(child=GranularityField(max_length=_MAX_TEXT), max_length=_MAX_LIST)
    startDate = StrictTextField(max_length=_MAX_TEXT)
    endDate = StrictTextField(max_length=_MAX_TEXT)

    def plan(self) -> Plan:
        """Return the plan; call after ``is_valid``.

        :raises InvalidInput: for an unknown category, or a range that is not valid or has not begun.
        """
        data = self.validated_data
        return full_crawl_plan(
            market_clock.today(),
            selection=self.selection(),
            granularities=data.get("granularities") or (),
            days=days_until_today(data["startDate"], data["endDate"], fields=_DATES),
            names=_DATES,
        )
