"""Figures as the former program asked for them and wrapped them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from rest_framework import serializers

from apps.categories.entries import children_json
from apps.compat.periods import current_period, period_around
from apps.core.api.serializers import ExactSerializer, StrictTextField
from apps.core.errors import InvalidInput
from apps.core.periods import Granularity, PeriodError, parse_granularity, parse_period
from apps.mengla.choices import Action
from apps.mengla.queries.data_query import DataQuery
from apps.mengla.queries.parameters import build_query

_MAX_TEXT = 64
_NO_RANKING: Mapping[str, Any] = {"list": []}
# The list of each action, and what it holds if the service has no figures.
_WRAPPERS: Mapping[Action, tuple[str, Mapping[str, Any]]] = {
    Action.HIGH: ("highList", _NO_RANKING),
    Action.HOT: ("hotList", _NO_RANKING),
    Action.CHANCE: ("chanceList", _NO_RANKING),
    Action.INDUSTRY_VIEW: (
        "industryViewV2List",
        {
            "industrySalesRangeDtoList": [],
            "industryGmvRangeDtoList": [],
            "industryPriceRangeDtoList": [],
            "industryBrandRateDtoList": [],
        },
    ),
}


class _Text(StrictTextField):
    """An optional text; null counts as absent."""

    def __init__(self) -> None:
        super().__init__(required=False, allow_blank=True, allow_null=True, max_length=_MAX_TEXT)


class FiguresQuerySerializer(ExactSerializer):
    """The body of a request for figures."""

    action = StrictTextField(max_length=_MAX_TEXT)
    product_id = _Text()
    catId = _Text()
    dateType = _Text()
    timest = _Text()
    starRange = _Text()
    endRange = _Text()
    extra = serializers.DictField(required=False, allow_null=True)

    def query(self) -> DataQuery:
        """Return the query; call after ``is_valid``.

        :raises InvalidInput: when a value is not valid, or no period of the query has begun.
        """
        given = {name: value or "" for name, value in self.validated_data.items()}
        return build_query(
            action=given["action"],
            cat_id=given.get("catId", ""),
            extra=self.validated_data.get("extra") or {},
            product_id=given.get("product_id", ""),
            **_periods_of(given),
        )


def _periods_of(given: Mapping[str, Any]) -> dict[str, str]:
    """Return the arguments of ``build_query`` that name periods, each widened to a period of ``dateType``."""
    granularity = _granularity_of(given)
    texts = {name: given.get(name, "") for name in ("timest", "starRange", "endRange")}
    periods = {name: period_around(text, granularity, field=name) for name, text in texts.items() if text}
    if given["action"] == Action.INDUSTRY_TREND and "starRange" in periods:
        current = current_period(granularity)
        for name in {"timest", "endRange"} & periods.keys():
            if periods["starRange"] <= current:
                periods[name] = min(periods[name], current)
    keys = {name: period.key for name, period in periods.items()}
    return {
        "date_type": granularity.value,
        "timest": keys.get("timest", ""),
        "start_range": keys.get("starRange", ""),
        "end_range": keys.get("endRange", ""),
    }


def _granularity_of(given: Mapping[str, Any]) -> Granularity:
    name = "dateType" if given.get("dateType") else "timest"
    text = given.get(name) or given.get("starRange") or ""
    try:
        return parse_granularity(text) if name == "dateType" else parse_period(text).granularity
    except PeriodError as error:
        raise InvalidInput(error.message, fields={name: [error.message]}) from error


def wrapped_figures(query: DataQuery, entry_body: bytes) -> dict[str, Any]:
    """Return the figures of an entry's body in the former form; an empty list if there are none."""
    data = orjson.loads(entry_body)["data"]
    if query.is_trend:
        answer: dict[str, Any] = {"industryTrendRange": {"data": data or []}}
    else:
        name, nothing = _WRAPPERS[query.action]
        figures = {key: value for key, value in (data or nothing).items() if key != "secondaryCategories"}
        answer = {name: {"code": 0, "data": figures}}
    if query.cat_id:
        answer["secondaryCategories"] = orjson.Fragment(children_json(query.cat_id))
    return answer
