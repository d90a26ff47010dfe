"""Turns the parameters of a request for figures into a :class:`DataQuery`, or says what is wrong.

Nothing is guessed: a period that cannot be read, or that contradicts the granularity or the range, is an
error and never another period.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.utils.translation import gettext as _

from apps.core.errors import InvalidInput
from apps.core.periods import (
    Granularity,
    Period,
    PeriodError,
    check_range,
    count_periods,
    parse_bound,
    parse_granularity,
    parse_period,
)
from apps.core.plain_json import is_plain
from apps.mengla.choices import Action
from apps.mengla.errors import UnknownCategory
from apps.mengla.queries.data_query import ALL_CATEGORIES, DataQuery
from apps.mengla.upstream.payloads import UnstorablePayload, canonical_json

__all__ = ["DataQuery", "build_query", "build_record_filter"]

MAX_PERIODS = 1100
# Nothing else may enter the names made of it; whether the category exists is checked later.
_CATEGORY_ID = re.compile(r"[0-9]{1,16}")
MAX_EXTRA_BYTES = 2048
MAX_EXTRA_DEPTH = 5
RESERVED_PARAMETERS = frozenset(
    {"module", "product_id", "catId", "dateType", "timest", "starRange", "endRange", "webhookUrl"}
)


def build_query(
    *,
    action: str,
    cat_id: str = "",
    cat_field: str = "catId",
    date_type: str = "",
    timest: str = "",
    start_range: str = "",
    end_range: str = "",
    product_id: str = "",
    extra: Mapping[str, Any] | None = None,
) -> DataQuery:
    """Check and normalise the parameters; the names of the fields in errors are the API's.

    Whether the category exists is checked where the answer is not cached, since a cached answer proves it.

    :raises InvalidInput: naming the field.
    """
    checked_action = _action(action)
    granularity = _granularity(date_type)
    period = _period("timest", timest, granularity)
    if checked_action == Action.INDUSTRY_TREND:
        start, end = _trend_range(period, granularity, start_range, end_range)
    else:
        start = end = _single_period(period, granularity, start_range, end_range)
    return DataQuery(
        action=checked_action,
        cat_id=_category(cat_field, cat_id),
        start=start,
        end=end,
        product_id=product_id,
        extra=_extra(extra or {}),
    )


def build_record_filter(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of ``selectors.list_records`` from the validated parameters of the list.

    :raises InvalidInput: for periods that cannot be read or do not go together.
    """
    granularity = _granularity(data.get("dateType", ""))
    start = _period("from", data.get("from", ""), granularity)
    granularity = granularity or (start.granularity if start else None)
    end = _period("to", data.get("to", ""), granularity)
    if start and end:
        with _period_errors():
            check_range(start, end, names=("from", "to"))
    return {
        "action": data.get("action"),
        "cat_id": _category("catId", data["catId"]) if "catId" in data else None,
        "granularity": granularity or (end.granularity if end else None),
        "start": start,
        "end": end,
        "is_empty": data.get("empty"),
        "cursor": data.get("cursor"),
        "limit": data["limit"],
    }


def _action(text: str) -> Action:
    try:
        return Action(text)
    except ValueError:
        names = ", ".join(Action.values)
        raise _invalid("action", _("Must be one of: %(names)s.") % {"names": names}) from None


def _category(field: str, text: str) -> str:
    if text in ("", ALL_CATEGORIES):
        return ""
    if not _CATEGORY_ID.fullmatch(text):
        raise UnknownCategory(field)
    return text


def _granularity(date_type: str) -> Granularity | None:
    if not date_type:
        return None
    with _period_errors("dateType"):
        return parse_granularity(date_type)


def _period(field: str, text: str, granularity: Granularity | None) -> Period | None:
    return _named_period(field, text, granularity) if text else None


def _named_period(field: str, text: str, granularity: Granularity | None = None) -> Period:
    with _period_errors(field):
        return parse_period(text, granularity)


def _bound(field: str, text: str, granularity: Granularity, *, is_end: bool) -> Period:
    with _period_errors(field):
        return parse_bound(text, granularity, is_end=is_end)


def _single_period(
    period: Period | None, granularity: Granularity | None, start_range: str, end_range: str
) -> Period:
    """Return the one period of a ranking or distribution; a range may only repeat it."""
    if period is None:
        raise _invalid("timest", _("This field is required."))
    for field, text, is_end in (("starRange", start_range, False), ("endRange", end_range, True)):
        if text and _bound(field, text, granularity or period.granularity, is_end=is_end) != period:
            raise _invalid(field, _("Does not fit timest: this action is for one period."))
    return period


def _trend_range(
    period: Period | None, granularity: Granularity | None, start_range: str, end_range: str
) -> tuple[Period, Period]:
    """Return the range of a trend: the given one, or the one period of ``timest``."""
    if not start_range and not end_range:
        if period is None:
            raise _invalid("timest", _("This field is required without starRange and endRange."))
        return period, period
    if granularity is None:
        # With timest its form says the granularity; otherwise the form of the range does.
        granularity = (period or _named_period("starRange", start_range or end_range)).granularity
    start = _bound("starRange", start_range, granularity, is_end=False) if start_range else None
    end = _bound("endRange", end_range, granularity, is_end=True) if end_range else period
    if start is None:
        raise _invalid("starRange", _("This field is required with endRange."))
    if end is None:
        raise _invalid("endRange", _("This field is required with starRange."))
    with _period_errors():
        check_range(start, end, names=("starRange", "endRange"))
    if (count := count_periods(start, end)) > MAX_PERIODS:
        text = _("The range has %(count)d periods; at most %(limit)d are allowed.")
        raise _invalid("endRange", text % {"count": count, "limit": MAX_PERIODS})
    if period is not None and not (start.index <= period.index <= end.index):
        raise _invalid("timest", _("Lies outside starRange and endRange."))
    return start, end


def _extra(extra: Mapping[str, Any]) -> Mapping[str, Any]:
    if not is_plain(extra, depth=MAX_EXTRA_DEPTH):
        raise _invalid(
            "extra", _("Must hold plain JSON values only, with simple names, and not be nested deeply.")
        )
    reserved = sorted(RESERVED_PARAMETERS & set(extra))
    if reserved:
        raise _invalid("extra", _("Must not contain: %(names)s.") % {"names": ", ".join(reserved)})
    try:
        size_bytes = len(canonical_json(dict(extra)))
    except UnstorablePayload as error:
        raise _invalid("extra", str(error)) from error
    if size_bytes > MAX_EXTRA_BYTES:
        raise _invalid("extra", _("Is too large."))
    return extra


@contextmanager
def _period_errors(field: str = "") -> Iterator[None]:
    """Raise what is wrong with a period as :class:`InvalidInput` of the field, or of the fields it names."""
    try:
        yield
    except PeriodError as error:
        fields = {field: [error.message]} if field else error.fields
        raise InvalidInput(_("The input is not valid."), fields=fields) from error


def _invalid(field: str, message: str) -> InvalidInput:
    return InvalidInput(_("The input is not valid."), fields={field: [message]})
