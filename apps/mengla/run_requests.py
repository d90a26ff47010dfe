"""Reads requests that start a run: the caller, and the selected categories and actions."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework import serializers
from rest_framework.request import Request

from apps.core import market_clock
from apps.core.api.period_range import PeriodRangeSerializer
from apps.core.api.serializers import DigitsField, ExactSerializer, StrictChoiceField, ValuesField
from apps.core.periods import PeriodError, check_begun
from apps.mengla.choices import Action
from apps.mengla.runs.collect import MAX_RANGE_PERIODS, Order, Selection, select
from apps.sync_tasks.choices import Trigger

_MAX_TEXT = 64


def order_of(request: Request) -> Order:
    """Return the order of a run by the caller of this request."""
    return Order(request.user.get_username(), Trigger.API)


class FilterListField(ValuesField):
    """A list of selected values; absent or null means all.

    An empty list is an error, because it must not select everything.
    """

    def __init__(self, **kwargs: Any) -> None:
        options: dict[str, Any] = {
            "required": False,
            "allow_null": True,
            "allow_empty": False,
            "min_length": 1,
        }
        super().__init__(
            **options | {"help_text": "All when absent or null; an empty list is an error."} | kwargs
        )


class ActionsField(FilterListField):
    """A list of selected actions."""

    def __init__(self, **kwargs: Any) -> None:
        options: dict[str, Any] = {"child": StrictChoiceField(choices=Action.choices)}
        super().__init__(**options | {"max_length": len(Action)} | kwargs)


class SelectionSerializer(ExactSerializer):
    """The selected category and actions."""

    catId = DigitsField(
        required=False,
        allow_null=True,
        allow_blank=True,
        max_length=_MAX_TEXT,
        help_text="A catId; empty or all for all categories taken together; null for every level-1 category.",
    )
    actions = ActionsField()

    def selection(self) -> Selection:
        """Return the selection; call after ``is_valid``.

        :raises InvalidInput: for an unknown category.
        """
        cat_id = self.validated_data.get("catId")
        return select(
            cat_ids=() if cat_id is None else [cat_id], actions=self.validated_data.get("actions") or ()
        )


class RangeSerializer(SelectionSerializer, PeriodRangeSerializer):
    """A range of periods, and the selected category and actions."""

    examples: ClassVar = {
        "Every category": {"granularity": "month", "startDate": "2025-01", "endDate": "2025-02"},
        "One category": {
            "granularity": "day",
            "startDate": "20250601",
            "endDate": "20250607",
            "catId": 4200,
            "actions": ["hot", "industryViewV2"],
        },
    }

    max_periods = MAX_RANGE_PERIODS
    openapi_rules: ClassVar = PeriodRangeSerializer.openapi_rules


class CollectRangeSerializer(RangeSerializer):
    """A range of periods to collect: its last one has begun."""

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse a range with periods that have not begun."""
        attrs = super().validate(attrs)
        try:
            check_begun(attrs["endDate"], market_clock.today(), name="endDate")
        except PeriodError as error:
            raise serializers.ValidationError(error.fields) from error
        return attrs
