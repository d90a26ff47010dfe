"""Builds the aggregations that group documents by query and rank them within each group.

This module is pure: it builds the stages and does not run them. The stages read our documents and those of
the former program, so that both spellings of one query are in one group.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from apps.mengla.choices import Action
from apps.mengla.queries.data_query import ALL_CATEGORIES

Expression = Any
Stage = dict[str, Any]


def duplicate_stages(*, is_ours: bool) -> list[Stage]:
    """Return the stages that yield every duplicate as ``{_id, key, first_id}``, group by group.

    ``first_id`` is the id of the first document of the group, whether it has figures or not. A document
    whose query cannot be read is in no group. ``is_ours``: the documents are our records.
    """
    return [
        *_query_stages({}),
        {
            "$setWindowFields": {
                "partitionBy": "$key",
                "sortBy": _order(is_ours=is_ours),
                "output": {"first_id": {"$first": "$_id", "window": {"documents": ["unbounded", "current"]}}},
            }
        },
        {"$match": {"$expr": {"$ne": ["$_id", "$first_id"]}}},
        {"$project": {"key": 1, "first_id": 1}},
    ]


def order_stages(ids: Sequence[Any], *, is_ours: bool) -> list[Stage]:
    """Return the stages that yield these documents as ``{_id, key}``, the preferred ones first."""
    return [
        *_query_stages({"_id": {"$in": list(ids)}}),
        {"$sort": _order(is_ours=is_ours)},
        {"$project": {"key": 1}},
    ]


def _query_stages(searched: Stage) -> list[Stage]:
    return [
        {"$match": {"action": {"$in": Action.values}} | searched},
        {"$project": {"key": _key(), "is_empty": {"$eq": ["$is_empty", True]}, "written_at": _written_at()}},
        {
            "$match": {
                "key.cat_id": {"$ne": None},
                "key.granularity": {"$nin": [None, ""]},
                "key.period_key": {"$nin": [None, ""]},
                "key.variant": {"$ne": None},
            }
        },
        {"$set": {"is_foreign": {"$ne": ["$_id", _our_id()]}}},
    ]


def _order(*, is_ours: bool) -> Stage:
    """Return the sort order of a group. Among our records our keys go first: readers find no others."""
    by_date = {"written_at": -1, "is_foreign": 1}
    by_key = {"is_foreign": 1, "written_at": -1}
    return {"is_empty": 1, **(by_key if is_ours else by_date), "_id": -1}


def _key() -> Expression:
    granularity = {"$toLower": _text(_first_of("$granularity", "$dateType"))}
    return {
        "action": "$action",
        "cat_id": _replaced(_text(_first_of("$cat_id", "$catId")), ALL_CATEGORIES, ""),
        "granularity": _replaced(granularity, "quarterly_for_year", "quarter"),
        "period_key": {
            "$toUpper": {
                "$replaceAll": {
                    "input": _text(_first_of("$period_key", "$timest")),
                    "find": "-",
                    "replacement": "",
                }
            }
        },
        "variant": _text("$variant"),
        # In the former program another product, other parameters or another range make another query.
        "product_id": _first_of("$product_id", {"$literal": ""}),
        "extra": {"$cond": [{"$in": [_first_of("$extra", None), [None, {"$literal": {}}]]}, None, "$extra"]},
        "range": {
            "$cond": [
                {"$eq": ["$action", Action.INDUSTRY_TREND.value]},
                [_first_of("$starRange", None), _first_of("$endRange", None)],
                None,
            ]
        },
    }


def _our_id() -> Expression:
    category = {"$cond": [{"$eq": ["$key.cat_id", ""]}, ALL_CATEGORIES, "$key.cat_id"]}
    variant = {"$cond": [{"$eq": ["$key.variant", ""]}, "", {"$concat": [":", "$key.variant"]}]}
    return {
        "$concat": [
            *("$key.action", ":", category, ":", "$key.granularity", ":", "$key.period_key"),
            variant,
        ]
    }


def _written_at() -> Expression:
    noted = _date(_first_of("$updated_at", "$collected_at", "$created_at", None))
    of_id = {"$cond": [{"$eq": [{"$type": "$_id"}, "objectId"]}, {"$toDate": "$_id"}, None]}
    return _first_of(noted, of_id)


def _first_of(*expressions: Expression) -> Expression:
    return {"$ifNull": list(expressions)}


def _text(value: Expression) -> Expression:
    """Return the value as text: "" for a missing value, null for one that cannot be converted."""
    return {"$convert": {"input": value, "to": "string", "onError": None, "onNull": ""}}


def _date(value: Expression) -> Expression:
    return {"$convert": {"input": value, "to": "date", "onError": None, "onNull": None}}


def _replaced(value: Expression, found: str, replacement: str) -> Expression:
    return {"$let": {"vars": {"it": value}, "in": {"$cond": [{"$eq": ["$$it", found]}, replacement, "$$it"]}}}
