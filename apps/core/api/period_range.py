"""A range of periods in a request's body, the same wherever one is asked for."""

from __future__ import annotations

from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from apps.core.api.serializers import GranularityField, StrictTextField
from apps.core.periods import Granularity, Period, PeriodError, count_periods, parse_bound

_MAX_TEXT = 64


class PeriodRangeSerializer(serializers.Serializer[Any]):
    """``granularity``, ``startDate`` and ``endDate``; once valid, the two dates are periods."""

    max_periods: ClassVar[int]

    granularity = GranularityField(max_length=_MAX_TEXT, help_text="day, month, quarter or year.")
    startDate = StrictTextField(
        trim_whitespace=False,
        max_length=_MAX_TEXT,
        help_text="First period: 2025-06, 202506 or its first day 2025-06-01.",
    )
    endDate = StrictTextField(
        trim_whitespace=False,
        max_length=_MAX_TEXT,
        help_text="Last period: 2025-06, 202506 or its last day 2025-06-30.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Read the periods, and refuse ranges that are reversed or too long."""
        start = _bound("startDate", attrs, is_end=False)
        end = _bound("endDate", attrs, is_end=True)
        if end < start:
            raise serializers.ValidationError({"startDate": _("Must not be after endDate.")})
        if count_periods(start, end) > self.max_periods:
            message = _("The range has more than %(limit)d periods.") % {"limit": self.max_periods}
            raise serializers.ValidationError({"endDate": message})
        return attrs | {"startDate": start, "endDate": end}

    def periods(self) -> tuple[Period, Period]:
        """Return the first and the last period; call after ``is_valid``."""
        return self.validated_data["startDate"], self.validated_data["endDate"]


def _bound(field: str, attrs: dict[str, Any], *, is_end: bool) -> Period:
    granularity: Granularity = attrs["granularity"]
    try:
        return parse_bound(attrs[field], granularity, is_end=is_end)
    except PeriodError as error:
        raise serializers.ValidationError({field: error.message}) from error
