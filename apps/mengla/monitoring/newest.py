"""The newest stored figures: what the data page shows when nothing else is asked for."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from pymongo import DESCENDING

from apps.core.periods import Granularity, Period, PeriodError, parse_period
from apps.core.storage.mongo import collection_of, utc_now
from apps.mengla.choices import ALL_CATEGORIES, Action
from apps.mengla.models import Record
from apps.mengla.queries.data_query import DataQuery
from apps.mengla.queries.freshness import FIELDS, freshness_of
from apps.mengla.store.selectors import list_records

_LOOKED_AT = 50
_PERIODS_LOOKED_AT = 12


def newest_figures(
    cat_ids: Collection[str], *, action: Action | None = None, granularity: Granularity | None = None
) -> DataQuery | None:
    """Return the query of the newest stored figures, None if there are none.

    The data set, the category, one of these, and the granularity are those of what was stored last, among
    the last fifty records with figures. Final figures are preferred to provisional ones. The period is the
    newest stored one: a backfill stores old periods last. A trend is that one period.
    """
    rows = list_records(
        action=action and action.value, granularity=granularity, is_empty=False, cursor=None, limit=_LOOKED_AT
    ).rows
    now = utc_now()
    known = set(cat_ids)
    found = [one for one in rows if one["cat_id"] in known and not one["variant"] and one["expired_at"] > now]
    query = next((query for one in _final_first(found) if (query := _query_of(one)) is not None), None)
    if query is None:
        return None
    newest = newest_period(query.action, query.cat_id, query.granularity) or query.end
    return query.narrowed(newest, newest)


def newest_period(action: Action, cat_id: str, granularity: Granularity) -> Period | None:
    """Return the latest period whose figures are stored, None if there are none; a final one is preferred."""
    prefix = f"{action.value}:{cat_id or ALL_CATEGORIES}:{granularity.value}:"
    found = (
        collection_of(Record)
        # The keys of one granularity are in the order of their periods.
        .find(
            {"_id": {"$gt": prefix, "$lt": f"{prefix}~"}, "variant": "", "is_empty": False},
            FIELDS | {"expired_at": 1},
        )
        .sort("_id", DESCENDING)
        .hint("_id_")
        .limit(_PERIODS_LOOKED_AT)
    )
    now = utc_now()
    for one in _final_first([one for one in found if one["expired_at"] > now]):
        try:
            return parse_period(one["period_key"], granularity)
        except PeriodError:
            continue  # another program wrote it
    return None


def _final_first(rows: list[Mapping[str, Any]] | list[dict[str, Any]]) -> list[Mapping[str, Any]]:
    return sorted(rows, key=lambda one: freshness_of(one).is_provisional)


def _query_of(record: Mapping[str, Any]) -> DataQuery | None:
    """Return the query of a record; None for one that another program wrote."""
    try:
        period = parse_period(record["period_key"], Granularity(record["granularity"]))
        return DataQuery(Action(record["action"]), record["cat_id"], period, period)
    except (PeriodError, ValueError):
        return None
