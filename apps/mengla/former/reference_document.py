"""Converts one document of the former program into records; it reads the settings, but no database.

There are three outcomes: records, nothing to import (:class:`NothingToImport`), and a document that cannot be
read (:class:`Unreadable`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import bson
import orjson

from apps.categories.selectors import is_cat_id
from apps.core.management.tables import printable
from apps.core.periods import Granularity, Period, PeriodError, parse_bound, parse_granularity, parse_period
from apps.mengla.choices import Action, EmptyReason
from apps.mengla.ingest.records import UNSTORABLE_ERRORS, ImportedRecord
from apps.mengla.queries import freshness
from apps.mengla.queries.data_query import ALL_CATEGORIES, DataQuery
from apps.mengla.upstream.payloads import (
    LIST_KEYS,
    UnreadablePayload,
    UnstorablePayload,
    Unwrapped,
    WebhookKind,
    canonical_json,
    data_hash,
    parse_webhook,
    split_trend_points,
    unwrap,
)

MAX_RECORD_BYTES = 16 * 1024 * 1024 - 64 * 1024  # MongoDB's limit, less room for the update around it
_INSTANT_FIELDS = ("collected_at", "updated_at", "created_at")
_FIRST_MILLISECONDS = 10**11  # as seconds this would be the year 5138
_SHOWN_CHARACTERS = 60
Document = Mapping[str, Any]


class NothingToImport(ValueError):
    """The document can be read, but has nothing to import; the text is a short fixed reason."""


class Unreadable(ValueError):
    """The document cannot be read; ``reason`` is short and fixed, the text adds the details."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {printable(detail)}" if detail else reason)
        self.reason = reason


def read_document(source: Document, *, now: datetime) -> list[ImportedRecord]:
    """Return the records of the document: one, or one for each point of a trend.

    :raises NothingToImport: when it has no figures, or figures past their retention.
    :raises Unreadable: when a field is missing or invalid, or the figures cannot be stored.
    """
    action = _action(source)
    granularity = _granularity(source)
    unwrapped = read_figures(action, source)
    if unwrapped.empty_reason is not None:
        raise NothingToImport("empty answer")
    if action == Action.INDUSTRY_TREND:
        figures = _points(source, unwrapped, granularity)
    else:
        figures = {_period(source, granularity): unwrapped.data}
    collected_at = _collected_at(source, now=now)
    kept_until = freshness.kept_until(next(iter(figures)).granularity, collected_at)
    if kept_until <= now:
        raise NothingToImport("past retention")
    return [_record(source, action, period, data, collected_at) for period, data in figures.items()]


def _record(
    source: Document, action: Action, period: Period, data: object, collected_at: datetime
) -> ImportedRecord:
    query = DataQuery(
        action, _category(source), period, period, product_id=_product(source), extra=_extra(source)
    )
    try:
        # Encoding as JSON and decoding again removes BSON's own types, such as dates.
        text = canonical_json(data)
        plain = orjson.loads(text)
        digest = data_hash(plain)
    except UnstorablePayload as error:
        raise Unreadable("data cannot be stored", str(error)) from error
    if b'"$ref":' in text:
        # MongoDB would return an object with this key as a reference instead of JSON.
        raise Unreadable("data cannot be stored", "it uses the name $ref")
    record = ImportedRecord(
        id=query.record_id(period),
        collected_at=collected_at,
        changes={
            "data": plain,
            "data_hash": digest,
            "is_empty": False,
            "empty_reason": "",
            "collected_at": collected_at,
            "fresh_until": collected_at + freshness.fresh_for(period.granularity),
            "collect_duration_ms": None,
            "collection_id": "",
            "run_ids": [],
            "has_reader": False,
            "updated_at": collected_at,
            "expired_at": freshness.kept_until(period.granularity, collected_at),
        },
        first={
            "action": action.value,
            "cat_id": query.cat_id,
            "granularity": period.granularity.value,
            "period_key": period.key,
            "variant": query.variant,
            "created_at": min(read_instant(source.get("created_at")) or collected_at, collected_at),
        },
    )
    _check_size(record)
    return record


def _check_size(record: ImportedRecord) -> None:
    try:
        size_bytes = len(bson.encode(record.changes))
    except UNSTORABLE_ERRORS as error:
        raise Unreadable("data cannot be stored", type(error).__name__) from error
    if size_bytes > MAX_RECORD_BYTES:
        raise Unreadable("data cannot be stored", f"{size_bytes} bytes are too many")


def _action(source: Document) -> Action:
    value = source.get("action")
    if not isinstance(value, str) or value not in Action.values:
        raise Unreadable("unknown action", _shown(value))
    return Action(value)


def _category(source: Document) -> str:
    value = _first_of(source, "catId", "cat_id")
    if value is None or value in ("", ALL_CATEGORIES):
        return ""
    text = _text_of_number(value)
    if not isinstance(text, str) or not is_cat_id(text):
        raise Unreadable("unreadable category", _shown(value))
    return text


def _granularity(source: Document) -> Granularity | None:
    value = _first_of(source, "dateType", "granularity")
    if value is None:
        return None
    try:
        return parse_granularity(value)
    except PeriodError as error:
        raise Unreadable("unreadable granularity", _shown(value)) from error


def _period(source: Document, granularity: Granularity | None) -> Period:
    value = _first_of(source, "timest", "period_key")
    text = _text_of_number(value)
    if granularity is None:
        try:
            return parse_period(text)
        except PeriodError as error:
            raise Unreadable("unreadable period", _shown(value)) from error
    for is_end in (False, True):
        try:
            return parse_bound(text, granularity, is_end=is_end)
        except PeriodError:
            continue
    raise Unreadable("unreadable period", _shown(value))


def read_figures(action: Action, source: Document) -> Unwrapped:
    """Return the figures in the document's ``data``, however they are wrapped, or the reason why it has none.

    :raises NothingToImport: when ``data`` is a text that is no JSON, or the answer of an execution that
        failed or had not ended.
    :raises Unreadable: when there is no ``data``, or its form is unknown.
    """
    if "data" not in source:
        raise Unreadable("no data")
    data = source["data"]
    if isinstance(data, dict):
        message = parse_webhook(data)
        if message.kind is WebhookKind.FAILURE or message.is_unfinished:
            raise NothingToImport("failed or unfinished execution")
    try:
        unwrapped = unwrap(action, data)
        if unwrapped.empty_reason is EmptyReason.MISSING_KEY:
            # Stored without the key of its list: the document names the action, so the key can be added.
            bare = [data] if _is_point(action, data) else data
            again = unwrap(action, {LIST_KEYS[action]: bare})
            if again.empty_reason is EmptyReason.MISSING_KEY:
                raise Unreadable("no figures found", again.detail or "")
            return again
    except UnreadablePayload as error:
        if isinstance(data, str) and not data.lstrip().startswith(("{", "[")):
            # Such as the error page of a proxy, which the former program stored like an answer.
            raise NothingToImport("text without figures") from error
        raise Unreadable("unreadable data", str(error)) from error
    return unwrapped


def _is_point(action: Action, data: object) -> bool:
    return action == Action.INDUSTRY_TREND and isinstance(data, dict) and "timest" in data


def _points(source: Document, unwrapped: Unwrapped, granularity: Granularity | None) -> dict[Period, object]:
    """Return the points of a trend by period; the default granularity is that of the document's period."""
    if granularity is None:
        granularity = _period(source, None).granularity
    points: Any = unwrapped.data
    try:
        placed = split_trend_points(points, granularity=granularity)
    except UnreadablePayload as error:
        raise Unreadable("unreadable data", str(error)) from error
    return {parse_period(key, granularity): point for key, point in placed.items()}


def _product(source: Document) -> str:
    value = source.get("product_id")
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Unreadable("unreadable product", _shown(value))
    return value


def _extra(source: Document) -> Mapping[str, Any]:
    value = source.get("extra")
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Unreadable("unreadable extra", _shown(value))
    try:
        canonical_json(value)
    except UnstorablePayload as error:
        raise Unreadable("unreadable extra", str(error)) from error
    return value


def _collected_at(source: Document, *, now: datetime) -> datetime:
    value = _first_of(source, *_INSTANT_FIELDS)
    instant = read_instant(value)
    if instant is None and value is None and isinstance(source.get("_id"), bson.ObjectId):
        instant = source["_id"].generation_time.replace(tzinfo=None)
    if instant is None:
        raise Unreadable("unreadable instant", _shown(value))
    if instant > now:
        # Figures collected before that instant would not replace the record, because it would count as newer.
        raise Unreadable("instant in the future", instant.isoformat())
    return instant


def read_instant(value: object) -> datetime | None:
    """Return a date, ISO text or Unix time (seconds or milliseconds) as naive UTC; None if invalid."""
    try:
        if isinstance(value, str):
            value = datetime.fromisoformat(value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            seconds = value / 1000 if abs(value) >= _FIRST_MILLISECONDS else value
            value = datetime.fromtimestamp(seconds, UTC)
        if isinstance(value, datetime) and value.tzinfo is not None:
            value = value.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError, OSError):
        return None
    if not isinstance(value, datetime):
        return None
    return value.replace(microsecond=value.microsecond // 1000 * 1000)


def _text_of_number(value: Any) -> Any:
    """Return a whole number as text, everything else as it is; ``mongosh`` stores every number as a float."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _first_of(source: Document, *names: str) -> Any:
    return next((source[name] for name in names if source.get(name) is not None), None)


def _shown(value: object) -> str:
    if isinstance(value, str | int | float):  # integers of BSON have at most 64 bits
        return repr(value)[:_SHOWN_CHARACTERS]
    return "nothing" if value is None else f"a value of type {type(value).__name__}"
