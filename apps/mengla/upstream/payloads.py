"""The wire format of the collection service: the parameters of an execution, and the payload of its answer.

Pure: no socket, no database, no clock. An answer has one of three outcomes: figures, empty with a reason
(stored, but never served as figures), or unreadable (a failed attempt).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from apps.core import market_clock
from apps.core.periods import Granularity, Period, PeriodError, parse_bound
from apps.mengla.choices import Action, EmptyReason
from apps.mengla.upstream.webhook_messages import WebhookKind, WebhookMessage, parse_webhook
from apps.mengla.upstream.wire_json import NotJSON, loads
from apps.mengla.upstream.wire_values import (
    LIST_KEYS,
    MAX_WRAPPERS,
    WRAPPER_KEYS,
    error_text,
    is_plain_integer,
    scalar_text,
    type_name,
    wrapped,
)
from apps.mengla.words import (
    NO_DISTRIBUTION,
    NO_JSON,
    NO_OBJECT,
    NO_PERIOD,
    NO_ROW,
    NO_ROWS,
    NOT_WRITABLE,
    TOO_LONG,
    TOO_WRAPPED,
)

__all__ = [
    "DATE_TYPES",
    "LIST_KEYS",
    "VIEW_LISTS",
    "UnreadablePayload",
    "UnstorablePayload",
    "Unwrapped",
    "WebhookKind",
    "WebhookMessage",
    "build_parameters",
    "canonical_json",
    "data_hash",
    "parse_webhook",
    "split_trend_points",
    "unwrap",
    "variant_of",
]

DATE_TYPES: Mapping[Granularity, str] = {
    Granularity.DAY: "DAY",
    Granularity.MONTH: "MONTH",
    Granularity.QUARTER: "QUARTERLY_FOR_YEAR",
    Granularity.YEAR: "YEAR",
}
VIEW_LISTS = (
    "industrySalesRangeDtoList",
    "industryGmvRangeDtoList",
    "industryPriceRangeDtoList",
    "industryBrandRateDtoList",
)
MAX_JSON_TEXT_CHARACTERS = 20 * 1024 * 1024  # no webhook body may be larger than this
MAX_SHOWN_KEYS = 8
VARIANT_CHARACTERS = 16
_DAY_WITH_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{8})[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.,][0-9]{1,9})?)?"
    r" ?(Z|[+-][0-9]{2}:?[0-9]{2})?"
)


class UnreadablePayload(ValueError):
    """The answer cannot be read: the attempt has failed, and the answer does not count as empty.

    Its argument, like that of the error below, is a message of :mod:`apps.mengla.words`.
    """


class UnstorablePayload(ValueError):
    """The value cannot be written as JSON: broken text, an integer over 64 bits or too deep nesting."""


@dataclass(frozen=True, slots=True)
class Unwrapped:
    """The payload without its wrappers: ``data`` is None exactly when ``empty_reason`` is set."""

    data: object
    empty_reason: EmptyReason | None = None
    detail: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether the answer holds no figures."""
        return self.empty_reason is not None


def build_parameters(
    *, action: str, product_id: str, cat_id: str, start: Period, end: Period, extra: Mapping[str, object]
) -> dict[str, object]:
    """Return the ``parameters`` of one execution; ``extra`` can add parameters, but not override them.

    Only trends take a range. Any other answer is stored under one period key, so a longer range is refused:
    its figures would pass for those of one period.

    :raises ValueError: for a range that is not allowed, or an ``extra`` that overrides a parameter.
    """
    action = Action(action)
    if start.granularity != end.granularity or end < start:
        raise ValueError(f"{start} to {end} is not a range of periods")
    if action != Action.INDUSTRY_TREND and start != end:
        raise ValueError(f"{action.value} is collected for one period at a time, not {start} to {end}")
    in_own_form = action == Action.INDUSTRY_TREND or (
        action == Action.INDUSTRY_VIEW and start.granularity == Granularity.QUARTER
    )
    parameters: dict[str, object] = {
        "module": action.value,
        "product_id": product_id,
        "catId": cat_id,
        "dateType": DATE_TYPES[start.granularity],
        "timest": end.dashed,
        "starRange": start.dashed if in_own_form else start.first_day.isoformat(),
        "endRange": end.dashed if in_own_form else end.last_day.isoformat(),
    }
    if clashes := parameters.keys() & extra.keys():
        raise ValueError(f"extra may not set {', '.join(sorted(clashes))}")
    return {**parameters, **extra}


def unwrap(action: str, result: object) -> Unwrapped:
    """Return the payload of ``action`` in a result, or the reason why it is empty.

    The payload of a ranking is ``{"list": rows, ...}`` with the other fields beside the list, that of the
    distribution is the object with its four lists, and that of a trend is the list of its points.

    :raises UnreadablePayload: when the result is neither a JSON object nor a list, or a row is no object.
    """
    action = Action(action)
    key = LIST_KEYS[action]
    node: object = _peel(result, (key,))
    if isinstance(node, dict):
        if key not in node:
            return _missing_key(key, node)
        node = _decoded(node[key])
        if isinstance(node, dict) and not _is_code_ok(node):
            code = scalar_text(node["code"]) or type_name(node["code"])
            return Unwrapped(None, EmptyReason.ERROR_CODE, _joined(f"code {code}", error_text([node])))
    elif isinstance(node, list) and action != Action.INDUSTRY_TREND:
        # A bare list of points can only be the trend; a bare list of rows could be any ranking's.
        return Unwrapped(None, EmptyReason.MISSING_KEY, f"a bare list instead of {key}")
    if action == Action.INDUSTRY_VIEW:
        return _unwrap_view(_peel(node, VIEW_LISTS))
    return _unwrap_list(action, _peel(node, ("list",)))


def split_trend_points(
    points: Sequence[Mapping[str, Any]], *, granularity: Granularity
) -> dict[str, Mapping[str, Any]]:
    """Return the points by the canonical keys of their periods; of two points of one period the last wins.

    ``timest`` is in the granularity's own form, or the exact first or last day of the period. It may be a
    number, and a day may carry a time: one with a zone is the market's day at that instant.

    :raises UnreadablePayload: when a point has no readable period: it could belong to any period.
    """
    placed: dict[str, Mapping[str, Any]] = {}
    unreadable = []
    for point in points:
        timest = point.get("timest") if isinstance(point, Mapping) else None
        period = _period_of_point(timest, granularity)
        if period is None:
            unreadable.append(scalar_text(timest) or type_name(timest))
        else:
            placed[period.key] = point
    if unreadable:
        shown = ", ".join(unreadable[:MAX_SHOWN_KEYS])
        raise UnreadablePayload(
            NO_PERIOD(count=len(unreadable), total=len(points), granularity=granularity, points=shown)
        )
    return placed


def canonical_json(data: object) -> bytes:
    """Return the value as compact UTF-8 JSON with sorted keys: equal data gives equal bytes.

    :raises UnstorablePayload: when the value cannot be written as JSON.
    """
    try:
        return orjson.dumps(data, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError as error:
        raise UnstorablePayload(NOT_WRITABLE(error=error)) from error


def data_hash(data: object) -> str:
    """Return the hex SHA-256 of the value's canonical JSON."""
    return hash_of_json(canonical_json(data))


def hash_of_json(canonical: bytes) -> str:
    """Return the :func:`data_hash` of a value whose canonical JSON is known."""
    return hashlib.sha256(canonical).hexdigest()


def variant_of(product_id: str, extra: Mapping[str, object]) -> str:
    """Return the hash of ``product_id`` and ``extra`` for a query's identity; empty when both are empty."""
    if not product_id and not extra:
        return ""
    return data_hash({"extra": dict(extra), "product_id": product_id})[:VARIANT_CHARACTERS]


def _peel(node: object, wanted: Collection[str]) -> dict[str, Any] | list[Any] | None:
    """Remove wrappers; returns an object with a wanted key, an object without wrappers, a list or None."""
    for _ in range(MAX_WRAPPERS + 1):
        node = _decoded(node)
        if node is None or isinstance(node, list):
            return node
        if not isinstance(node, dict):
            raise UnreadablePayload(NO_OBJECT(kind=type_name(node)))
        if any(key in node for key in wanted) or not any(key in node for key in WRAPPER_KEYS):
            return node
        node = wrapped(node)
    raise UnreadablePayload(TOO_WRAPPED(count=MAX_WRAPPERS))


def _decoded(node: object) -> object:
    if not isinstance(node, str):
        return node
    if len(node) > MAX_JSON_TEXT_CHARACTERS:
        raise UnreadablePayload(TOO_LONG(count=len(node)))
    try:
        return loads(node)
    except NotJSON as error:
        raise UnreadablePayload(NO_JSON(text=scalar_text(node))) from error


def _unwrap_list(action: Action, node: dict[str, Any] | list[Any] | None) -> Unwrapped:
    if isinstance(node, dict) and "list" not in node:
        return _missing_key("list", node)
    beside, found = (node, _decoded(node["list"])) if isinstance(node, dict) else ({}, node)
    if found is None:
        return Unwrapped(None, EmptyReason.NULL_DATA)
    rows = _rows(found)
    is_trend = action == Action.INDUSTRY_TREND
    if not rows:
        return Unwrapped(None, EmptyReason.NO_POINTS if is_trend else EmptyReason.EMPTY_LIST)
    return Unwrapped(rows if is_trend else {**beside, "list": rows})


def _unwrap_view(node: dict[str, Any] | list[Any] | None) -> Unwrapped:
    if node is None:
        return Unwrapped(None, EmptyReason.NULL_DATA)
    if isinstance(node, list):
        # Some JSON libraries write an empty object as an empty list.
        if node:
            raise UnreadablePayload(NO_DISTRIBUTION())
        return Unwrapped(None, EmptyReason.ALL_LISTS_EMPTY)
    if not any(key in node for key in VIEW_LISTS):
        return _missing_key(VIEW_LISTS[0], node)
    lists = {key: [] if node.get(key) is None else _rows(node[key]) for key in VIEW_LISTS}
    if not any(lists.values()):
        return Unwrapped(None, EmptyReason.ALL_LISTS_EMPTY)
    return Unwrapped({**node, **lists})


def _rows(node: object) -> list[dict[str, Any]]:
    if not isinstance(node, list):
        raise UnreadablePayload(NO_ROWS(kind=type_name(node)))
    for row in node:
        if not isinstance(row, dict):
            raise UnreadablePayload(NO_ROW(kind=type_name(row)))
    return node


def _is_code_ok(node: Mapping[str, Any]) -> bool:
    code = node.get("code")
    return code is None or code == "0" or (code == 0 and not isinstance(code, bool))


def _missing_key(key: str, node: Mapping[str, Any]) -> Unwrapped:
    names = [scalar_text(name) or "?" for name in list(node)[:MAX_SHOWN_KEYS]]
    found = f"no {key}; found: {', '.join(names) or 'nothing'}"
    return Unwrapped(None, EmptyReason.MISSING_KEY, _joined(found, error_text([node])))


def _period_of_point(timest: object, granularity: Granularity) -> Period | None:
    if isinstance(timest, float) and timest.is_integer():
        timest = int(timest)
    if is_plain_integer(timest):
        timest = str(timest)
    elif isinstance(timest, str) and _DAY_WITH_TIME.fullmatch(timest):
        timest = _day_in(timest)
    for is_end in (False, True):
        try:
            return parse_bound(timest, granularity, is_end=is_end)
        except PeriodError:
            continue
    return None


def _day_in(text: str) -> str | None:
    """Return the market's day at a time, which is the market's if it has no zone; None if there is none."""
    try:
        instant = datetime.fromisoformat(text)
        day = instant.date() if instant.tzinfo is None else market_clock.day_of(instant)
    except (ValueError, OverflowError):
        return None
    return day.isoformat()


def _joined(fact: str, reason: str | None) -> str:
    return f"{fact}: {reason}" if reason else fact
