"""Turns the parameters of a request for figures into a :class:`DataQuery`, or raises an error per field.

Nothing is guessed: a period that cannot be parsed, or that contradicts the granularity or the range, is an
error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.utils.translation import gettext as _

from apps.core import market_clock
from apps.core.errors import Faults, InvalidInput
from apps.core.periods import (
    Granularity,
    Period,
    PeriodError,
    check_begun,
    check_range,
    count_periods,
    parse_bound,
    parse_granularity,
    parse_period,
)
from apps.core.plain_json import is_plain
from apps.core.printable import has_unprintable, list_text
from apps.mengla.choices import Action
from apps.mengla.errors import UnknownCategory
from apps.mengla.queries.data_query import ALL_CATEGORIES, DataQuery
from apps.mengla.upstream.payloads import UnstorablePayload, canonical_json

__all__ = ["DataQuery", "build_query", "build_record_filter"]

MAX_PERIODS = 1100
# Other characters would break the keys made from it; whether the category exists is checked later.
CATEGORY_ID = re.compile(r"[1-9][0-9]{0,15}")
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
    """Validate and normalise the parameters of the API.

    Whether the category exists is not checked here: the read path checks it when no figures are found.

    :raises InvalidInput: with the errors by the API's field names, also when a period has not begun. Of the
        fields that depend on each other (action, granularity and periods), it has the first error.
    """
    faults = Faults()
    with faults.of("timest"):
        checked_action, start, end = _periods(action, date_type, timest, start_range, end_range)
    with faults.of(cat_field):
        category = _category(cat_field, cat_id)
    with faults.of("product_id"):
        product = _product(product_id)
    with faults.of("extra"):
        further = _extra(extra or {})
    faults.check()
    return DataQuery(
        action=checked_action, cat_id=category, start=start, end=end, product_id=product, extra=further
    )


def build_record_filter(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of ``selectors.list_records`` from the validated parameters of the list.

    :raises InvalidInput: for periods that cannot be parsed or contradict each other.
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


def _periods(
    action: str, date_type: str, timest: str, start_range: str, end_range: str
) -> tuple[Action, Period, Period]:
    """Return the data set, and the first and the last period."""
    checked_action = _action(action)
    granularity = _granularity(date_type)
    period = _period("timest", timest, granularity)
    if checked_action == Action.INDUSTRY_TREND:
        start, end = _trend_range(period, granularity, start_range, end_range)
    else:
        start = end = _single_period(period, granularity, start_range, end_range)
    end_field = "endRange" if end_range and checked_action == Action.INDUSTRY_TREND else "timest"
    with _period_errors():
        check_begun(end, market_clock.today(), name=end_field)
    return checked_action, start, end


def _action(text: str) -> Action:
    try:
        return Action(text)
    except ValueError:
        names = list_text(Action.values)
        raise _invalid("action", _("Must be one of: %(names)s.") % {"names": names}) from None


def _category(field: str, text: str) -> str:
    if text in ("", ALL_CATEGORIES):
        return ""
    if not CATEGORY_ID.fullmatch(text):
        raise UnknownCategory(field)
    return text


def _product(text: str) -> str:
    if has_unprintable(text):
        raise _invalid("product_id", _("This text has characters that are not allowed."))
    if text != text.strip():
        raise _invalid("product_id", _("Must not begin or end with white space."))
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
    """Return the period of a ranking or distribution; a range, if given, must equal it."""
    if period is None:
        raise _invalid("timest", _("This field is required."))
    for field, text, is_end in (("starRange", start_range, False), ("endRange", end_range, True)):
        if text and _bound(field, text, granularity or period.granularity, is_end=is_end) != period:
            raise _invalid(field, _("Does not match timest: this action takes a single period."))
    return period


def _trend_range(
    period: Period | None, granularity: Granularity | None, start_range: str, end_range: str
) -> tuple[Period, Period]:
    """Return the range of a trend: the given range, or the single period of ``timest``."""
    if not start_range and not end_range:
        if period is None:
            raise _invalid("timest", _("This field is required without starRange and endRange."))
        return period, period
    if granularity is None:
        # The granularity follows from the format of timest or else of the range.
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
        raise _invalid("timest", _("Must lie between starRange and endRange."))
    return start, end


def _extra(extra: Mapping[str, Any]) -> Mapping[str, Any]:
    if not is_plain(extra, depth=MAX_EXTRA_DEPTH):
        raise _invalid(
            "extra", _("Must contain plain JSON values only, with simple names, and not be nested deeply.")
        )
    reserved = sorted(RESERVED_PARAMETERS & set(extra))
    if reserved:
        raise _invalid("extra", _("Must not contain: %(names)s.") % {"names": list_text(reserved)})
    try:
        size_bytes = len(canonical_json(dict(extra)))
    except UnstorablePayload as error:
        raise _invalid("extra", str(error)) from error
    if size_bytes > MAX_EXTRA_BYTES:
        raise _invalid("extra", _("Is too large."))
    return extra


@contextmanager
def _period_errors(field: str = "") -> Iterator[None]:
    """Turn a :class:`PeriodError` in the block into an :class:`InvalidInput` of the field.

    Without ``field`` it concerns the fields that the error names.
    """
    try:
        yield
    except PeriodError as error:
        fields = {field: [error.message]} if field else error.fields
        raise InvalidInput(_("The input is not valid."), fields=fields) from error


def _invalid(field: str, message: str) -> InvalidInput:
    return InvalidInput(_("The input is not valid."), fields={field: [message]})
