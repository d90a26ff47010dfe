"""A range of periods in a request body, the same for all addresses that accept one."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework import serializers

from apps.core.api.openapi.period_schemas import PERIOD
from apps.core.api.openapi.rules import range_rules
from apps.core.api.serializers import GranularityField, StrictTextField
from apps.core.periods import Period, PeriodError, parse_range

_MAX_TEXT = 64


class PeriodParameterField(serializers.CharField):
    """A period in a URL."""

    openapi_schema = PERIOD


class PeriodRangeSerializer(serializers.Serializer[Any]):
    """``granularity``, ``startDate`` and ``endDate``; after validation, the two dates are periods."""

    max_periods: ClassVar[int]
    openapi_rules: ClassVar = range_rules()

    granularity = GranularityField(max_length=_MAX_TEXT, help_text="day, month, quarter or year.")
    startDate = StrictTextField(
        max_length=_MAX_TEXT,
        help_text="First period: 2025-06, 202506 or its first day 2025-06-01.",
    )
    endDate = StrictTextField(
        max_length=_MAX_TEXT,
        help_text="Last period: 2025-06, 202506 or its last day 2025-06-30.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Parse the two periods, and refuse a range that is reversed or too long."""
        try:
            start, end = parse_range(
                attrs["startDate"],
                attrs["endDate"],
                attrs["granularity"],
                names=("startDate", "endDate"),
                limit=self.max_periods,
            )
        except PeriodError as error:
            raise serializers.ValidationError(error.fields) from error
        return attrs | {"startDate": start, "endDate": end}

    def periods(self) -> tuple[Period, Period]:
        """Return the first and the last period; call after ``is_valid``."""
        return self.validated_data["startDate"], self.validated_data["endDate"]
