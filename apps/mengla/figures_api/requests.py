"""The parameters of requests for figures."""

from __future__ import annotations

from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ParseError

from apps.core.api.openapi.components import NamedSchema
from apps.core.api.openapi.period_schemas import PERIOD, PERIOD_OR_NUMBER, end_of, form_of, start_of
from apps.core.api.openapi.rules import Rule, absent, all_of, any_of, equals, fits, given, when
from apps.core.api.openapi.text_patterns import UNPADDED
from apps.core.api.parsers import loads_shallow
from apps.core.api.serializers import (
    MAX_WHOLE,
    DigitsField,
    ObjectField,
    QuerySerializer,
    ReusingSerializer,
    StrictBooleanField,
    StrictChoiceField,
    StrictIntegerField,
    UrlBooleanField,
    UrlIntegerField,
)
from apps.core.errors import InvalidInput
from apps.core.periods import Granularity
from apps.mengla.choices import Action
from apps.mengla.reading.read import MAX_WAIT_SECONDS

_MAX_TEXT = 64


class _Text(DigitsField):
    """An optional text, or a whole number for its digits; null counts as absent.

    White space stays, so that it makes a period invalid.
    """

    def __init__(self, **kwargs: Any) -> None:
        options = {
            "required": False,
            "allow_blank": True,
            "allow_null": True,
            "max_length": _MAX_TEXT,
        }
        super().__init__(**options | kwargs)


class _PeriodText(_Text):
    """A period."""

    @property
    def openapi_schema(self) -> NamedSchema:
        """In a URL a number is a text."""
        return PERIOD if isinstance(self.parent, QuerySerializer) else PERIOD_OR_NUMBER


class _ProductText(_Text):
    """The id of a product."""

    @property
    def openapi_bounds(self) -> dict[str, Any]:
        """In a body it may be a number."""
        is_in_url = isinstance(self.parent, QuerySerializer)
        if is_in_url:
            return {"pattern": UNPADDED}
        number = {"minimum": -MAX_WHOLE, "maximum": MAX_WHOLE}
        return {"pattern": UNPADDED, "type": ["string", "integer", "null"], **number}


class _FiguresSerializer(ReusingSerializer):
    """The parameters that all requests for figures share."""

    dateType = _Text(help_text="day, month, quarter or year; inferred from the form of timest when absent.")
    timest = _PeriodText(help_text="The period: 2025-06-01, 2025-06, 2025-Q2 or 2025, dashes optional.")
    starRange = _PeriodText(help_text="First period of a trend.")
    endRange = _PeriodText(help_text="Last period of a trend.")
    product_id = _ProductText()

    cat_field = "catId"

    def query_arguments(self, *, action: str | None = None) -> dict[str, Any]:
        """Return the arguments of ``build_query``; call after ``is_valid``."""
        data = self.validated_data
        return {
            "action": action or data["action"],
            "cat_id": data.get(self.cat_field) or "",
            "cat_field": self.cat_field,
            "date_type": data.get("dateType") or "",
            "timest": data.get("timest") or "",
            "start_range": data.get("starRange") or "",
            "end_range": data.get("endRange") or "",
            "product_id": data.get("product_id") or "",
            "extra": data.get("extra") or {},
        }


def _form_rules(*, is_range: bool) -> list[Rule]:
    """Return the rules that dateType, or else the form of the first period, decides the forms of all."""
    rules = []
    for one in Granularity:
        conditions = [
            equals("dateType", one.value),
            all_of(absent("dateType"), given("timest"), fits(timest=form_of(one))),
        ]
        if is_range:
            no_other = all_of(absent("dateType"), absent("timest"), given("starRange"))
            conditions.append(all_of(no_other, fits(starRange=form_of(one))))
        forms = fits(timest=form_of(one), starRange=start_of(one), endRange=end_of(one))
        rules.append(when(any_of(*conditions), forms))
    return rules


_TREND_RULES = [
    any_of(given("timest"), given("starRange", "endRange")),
    when(given("endRange"), given("starRange")),
]

_WAIT: dict[str, Any] = {
    "required": False,
    "default": 0,
    "min_value": 0,
    "max_value": MAX_WAIT_SECONDS,
    "help_text": "Seconds to wait for a collection.",
}
_REFRESH: dict[str, Any] = {
    "required": False,
    "default": False,
    "help_text": "Skip the caches and collect again.",
}


class _ExtraField(ObjectField):
    """Further parameters for the collection service; part of the query's identity."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, allow_null=True, **kwargs)


@extend_schema_field(
    {"type": "string", "contentMediaType": "application/json", "contentSchema": {"type": "object"}}
)
class _ExtraTextField(serializers.JSONField):
    """The same parameters as JSON text, for a query string."""

    default_error_messages = {"not_an_object": _("Must be a JSON object.")}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, **kwargs)

    def get_value(self, dictionary: Any) -> Any:
        """Return the text; an empty one counts as absent."""
        return dictionary.get(self.field_name) or serializers.empty

    def to_internal_value(self, data: Any) -> Any:
        """Parse the text."""
        try:
            value = loads_shallow(str(data).encode())
        except (ParseError, UnicodeEncodeError):
            self.fail("invalid")
        except InvalidInput as error:
            raise serializers.ValidationError(error.fields) from error
        if not isinstance(value, dict):
            self.fail("not_an_object")
        return value


class FiguresParametersSerializer(QuerySerializer, _FiguresSerializer):
    """The query string of `GET /mengla`."""

    examples: ClassVar = {
        "A month of a category": {"action": "hot", "primaryCatId": 4200, "timest": "2025-06"},
        "All categories": {
            "action": "high",
            "primaryCatId": "all",
            "dateType": "quarter",
            "timest": "2025-Q2",
        },
        "A trend": {
            "action": "industryTrendRange",
            "primaryCatId": "4201",
            "dateType": "month",
            "timest": "2025-06",
            "starRange": "2025-01",
            "endRange": "2025-06",
        },
        "Of one product, collected anew": {
            "primaryCatId": 4200,
            "timest": "2025",
            "refresh": True,
            "wait": 0,
            "product_id": "1709221",
            "extra": '{"region": "moscow"}',
        },
    }

    cat_field = "primaryCatId"

    primaryCatId = serializers.CharField(
        allow_blank=True,
        max_length=_MAX_TEXT,
        trim_whitespace=False,
        help_text="A catId; empty or all for all categories taken together.",
    )
    timest = _PeriodText(
        required=True,
        allow_blank=False,
        allow_null=False,
        help_text="The period: 2025-06-01, 2025-06, 2025-Q2 or 2025, dashes optional.",
    )
    action = StrictChoiceField(choices=Action.choices, required=False, default=Action.INDUSTRY_VIEW.value)
    wait = UrlIntegerField(**_WAIT)
    refresh = UrlBooleanField(**_REFRESH)
    extra = _ExtraTextField(help_text="Further parameters, as JSON text.")


class FiguresBodySerializer(_FiguresSerializer):
    """The body of the POST addresses whose path names the action."""

    needed: ClassVar[tuple[str, ...]] = ("timest",)
    openapi_rules: ClassVar = _form_rules(is_range=False)

    examples: ClassVar = {
        "A month of a category": {"catId": 4200, "timest": "2025-06"},
        "All categories": {"dateType": "quarter", "timest": "2025-Q2", "wait": 0},
        "Of one product": {
            "catId": "4201",
            "timest": "20250601",
            "product_id": "1709221",
            "extra": {"region": "moscow"},
        },
    }

    catId = _Text(help_text="A catId; empty or all for all categories taken together.")
    wait = StrictIntegerField(**_WAIT)
    refresh = StrictBooleanField(**_REFRESH)
    extra = _ExtraField()


class TrendBodySerializer(FiguresBodySerializer):
    """The body of the address of trends: `timest`, or both ends of the range."""

    needed: ClassVar[tuple[str, ...]] = ()
    needs_any: ClassVar[bool] = True
    openapi_rules: ClassVar = [*_TREND_RULES, *_form_rules(is_range=True)]

    examples: ClassVar = {
        "A range of months": {
            "catId": 4200,
            "dateType": "month",
            "starRange": "2025-01",
            "endRange": "2025-06",
        },
        "A single year": {"timest": "2025"},
    }


class FiguresQuerySerializer(FiguresBodySerializer):
    """The body of `POST /mengla/query`; only a trend may be without `timest`."""

    needed: ClassVar[tuple[str, ...]] = ()
    openapi_rules: ClassVar = [
        when(equals("action", Action.INDUSTRY_TREND.value), all_of(*_TREND_RULES), given("timest")),
        *_form_rules(is_range=True),
    ]

    examples: ClassVar = {
        "Best sellers": {"action": "hot", "catId": 4200, "timest": "2025-06"},
        "A distribution": {"action": "industryViewV2", "catId": "4201", "timest": "2025-Q2"},
        "A trend": {
            "action": "industryTrendRange",
            "catId": 4200,
            "dateType": "month",
            "starRange": "2025-01",
            "endRange": "2025-06",
        },
    }

    action = StrictChoiceField(choices=Action.choices)
