"""The parameters of an export over HTTP."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework import serializers

from apps.core.api.openapi.components import NamedSchema
from apps.core.api.period_range import PeriodParameterField
from apps.core.api.serializers import (
    GranularityField,
    QuerySerializer,
    StrictChoiceField,
)
from apps.mengla.choices import Action
from apps.mengla.export.query import (
    MAX_CATEGORIES,
    ExportFormat,
    ExportQuery,
    build_export_query,
    split_cat_ids,
)

_MAX_TEXT = 64
_MAX_CAT_ID = 17  # with its comma


class _CatIdsField(serializers.CharField):
    """Ids of categories in one text."""

    openapi_schema = NamedSchema(
        "CatIdList", {"type": "string", "pattern": "^(([1-9][0-9]{0,15}|all)(,([1-9][0-9]{0,15}|all))*)?$"}
    )


class ExportParametersSerializer(QuerySerializer):
    """The query string of ``GET /mengla/export``."""

    examples: ClassVar = {
        "The best sellers of a year": {"action": "hot", "from": "2025-01", "to": "2025-12"},
        "Two categories as CSV": {
            **{"action": "high", "catIds": "4200,all", "dateType": "month"},
            **{"from": "2025-01-01", "to": "2025-06-30", "format": "csv"},
        },
    }

    action = StrictChoiceField(choices=Action.choices)
    catIds = _CatIdsField(
        required=False,
        allow_blank=True,
        default="",
        max_length=MAX_CATEGORIES * _MAX_CAT_ID,
        trim_whitespace=False,
        help_text="catIds separated by commas; all means all categories taken together. "
        "Every level-1 category when absent.",
    )
    dateType = GranularityField(
        required=False,
        default=None,
        max_length=_MAX_TEXT,
        help_text="day, month, quarter or year; inferred from the form of from when absent.",
    )
    to = PeriodParameterField(
        max_length=_MAX_TEXT,
        trim_whitespace=False,
        help_text="Last period: 2025-12, 202512 or its last day 2025-12-31.",
    )
    format = StrictChoiceField(
        choices=[form.value for form in ExportFormat],
        required=False,
        default=ExportFormat.NDJSON.value,
        help_text="The form of the file.",
    )

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """Add ``from``, which is a keyword in Python."""
        fields = super().get_fields()
        fields["from"] = PeriodParameterField(
            max_length=_MAX_TEXT,
            trim_whitespace=False,
            help_text="First period: 2025-01, 202501 or its first day 2025-01-01.",
        )
        return fields

    def query(self) -> ExportQuery:
        """Return what is asked for; call after ``is_valid``.

        :raises apps.core.errors.InvalidInput: for wrong periods, and categories that do not exist.
        """
        data = self.validated_data
        return build_export_query(
            action=Action(data["action"]),
            cat_ids=split_cat_ids(data["catIds"]),
            granularity=data["dateType"],
            start=data["from"],
            end=data["to"],
        )

    def form(self) -> ExportFormat:
        """Return the format; call after ``is_valid``."""
        return ExportFormat(self.validated_data["format"])
