"""The query of an execute request: strict parsing of its parameters, and the key it is counted under."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from apps.core.periods import Granularity, Period, PeriodError, count_periods, parse_period
from apps.mengla.simulator.knobs import PARAMETERS_KEY

RANKING_ACTIONS = ("high", "hot", "chance")
VIEW_ACTION = "industryViewV2"
TREND_ACTION = "industryTrendRange"
ACTIONS = (*RANKING_ACTIONS, VIEW_ACTION, TREND_ACTION)

DATE_TYPES: dict[str, Granularity] = {
    "DAY": Granularity.DAY,
    "MONTH": Granularity.MONTH,
    "QUARTERLY_FOR_YEAR": Granularity.QUARTER,
    "YEAR": Granularity.YEAR,
}
MAX_TREND_POINTS = 5000

_CAT_ID = re.compile(r"[0-9A-Za-z_.-]{0,64}")
_NAMED = frozenset({"module", "product_id", "catId", "dateType", "timest", "starRange", "endRange"})


class InvalidParameters(ValueError):
    """Parameters that the real service would refuse; ``reason`` is a short fixed name for the statistics."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One valid query to the service; ``first`` and ``last`` differ for trends only."""

    action: str
    cat_id: str
    date_type: str
    first: Period
    last: Period
    star_range: str
    end_range: str
    product_id: str
    extra: Mapping[str, Any]

    @property
    def granularity(self) -> Granularity:
        """The granularity of the requested periods."""
        return self.last.granularity

    @property
    def variant(self) -> str:
        """A short hash of ``product_id`` and the extra parameters; empty when there are none."""
        if not self.product_id and not self.extra:
            return ""
        text = json.dumps([self.product_id, self.extra], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    @property
    def key(self) -> str:
        """The key this query is counted under; equal queries have equal keys."""
        when = self.last.dashed
        if self.action == TREND_ACTION:
            when = f"{self.first.dashed}~{self.last.dashed}"
        parts = [self.action, self.cat_id, self.date_type, when]
        return ":".join([*parts, self.variant] if self.variant else parts)

    def echo(self) -> dict[str, Any]:
        """Return the parameters as they were sent, for the ``echo`` knob."""
        return {
            "module": self.action,
            "catId": self.cat_id,
            "dateType": self.date_type,
            "timest": self.last.dashed,
            "starRange": self.star_range,
            "endRange": self.end_range,
            "product_id": self.product_id,
            "extra": dict(self.extra),
        }


def parse_parameters(parameters: object) -> Query:
    """Return the query of an execute request.

    :raises InvalidParameters: for anything that the protocol does not allow.
    """
    if not isinstance(parameters, Mapping):
        raise InvalidParameters("parameters", "parameters must be an object")
    action = _text(parameters, "module")
    if action not in ACTIONS:
        raise InvalidParameters("module", f"module must be one of {', '.join(ACTIONS)}")
    date_type = _text(parameters, "dateType")
    if date_type not in DATE_TYPES:
        raise InvalidParameters("dateType", f"dateType must be one of {', '.join(DATE_TYPES)}")
    cat_id = _identity(parameters, "catId")
    if not _CAT_ID.fullmatch(cat_id):
        raise InvalidParameters("catId", "catId must be a category id or empty")
    granularity = DATE_TYPES[date_type]
    last = _period(parameters, "timest", granularity)
    star_range, end_range = _text(parameters, "starRange"), _text(parameters, "endRange")
    if action == TREND_ACTION:
        first = _trend_start(parameters, granularity, last)
    else:
        first = last
        _check_range(parameters, action, last)
    return Query(
        action=action,
        cat_id=cat_id,
        date_type=date_type,
        first=first,
        last=last,
        star_range=star_range,
        end_range=end_range,
        product_id=_identity(parameters, "product_id"),
        extra={k: v for k, v in parameters.items() if k not in _NAMED and k != PARAMETERS_KEY},
    )


def _text(parameters: Mapping[str, Any], name: str) -> str:
    value = parameters.get(name)
    if not isinstance(value, str):
        raise InvalidParameters(name, f"{name} must be a string")
    return value


def _identity(parameters: Mapping[str, Any], name: str) -> str:
    value = parameters.get(name)
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise InvalidParameters(name, f"{name} must be a string")
    return str(value)


def _period(parameters: Mapping[str, Any], name: str, granularity: Granularity) -> Period:
    text = _text(parameters, name)
    try:
        period = parse_period(text, granularity)
    except PeriodError as error:
        raise InvalidParameters(name, f"{name}: {error}") from error
    # The service accepts one spelling only: 2025-06, not 202506, which is the key inside the product.
    if period.dashed != text:
        raise InvalidParameters(name, f"{name} must be written {period.dashed}")
    return period


def _trend_start(parameters: Mapping[str, Any], granularity: Granularity, last: Period) -> Period:
    first = _period(parameters, "starRange", granularity)
    if _period(parameters, "endRange", granularity) != last:
        raise InvalidParameters("endRange", "timest of a trend must be the end of its range")
    if first > last:
        raise InvalidParameters("starRange", "starRange is after endRange")
    if count_periods(first, last) > MAX_TREND_POINTS:
        raise InvalidParameters("range", f"a trend has at most {MAX_TREND_POINTS} points")
    return first


def _check_range(parameters: Mapping[str, Any], action: str, period: Period) -> None:
    expected = {"starRange": period.first_day.isoformat(), "endRange": period.last_day.isoformat()}
    if action == VIEW_ACTION and period.granularity == Granularity.QUARTER:
        expected = {"starRange": period.dashed, "endRange": period.dashed}
    for name, wanted in expected.items():
        if parameters[name] != wanted:
            raise InvalidParameters(name, f"{name} of {period.dashed} must be {wanted}")
