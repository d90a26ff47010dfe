"""The aggregations that bring together the documents of each question, in the order in which they are kept.

Pure: they are built here and ask nothing. They read our documents and those of the former program alike,
so that both spellings of one question meet in one group.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from apps.mengla.choices import Action
from apps.mengla.queries.data_query import ALL_CATEGORIES

Expression = Any
Stage = dict[str, Any]


def duplicate_stages(*, is_ours: bool) -> list[Stage]:
    """Return the stages that yield every duplicate as ``{_id, key, keeper}``, group by group.

    ``keeper`` is the first document of the group; whether it has figures is not looked at here. A document
    whose question cannot be read is never part of a group. ``is_ours``: in the collection of our records.
    """
    return [
        *_question_stages({}),
        {
            "$setWindowFields": {
                "partitionBy": "$key",
                "sortBy": _order(is_ours=is_ours),
                "output": {"keeper": {"$first": "$_id", "window": {"documents": ["unbounded", "current"]}}},
            }
        },
        {"$match": {"$expr": {"$ne": ["$_id", "$keeper"]}}},
        {"$project": {"key": 1, "keeper": 1}},
    ]


def order_stages(ids: Sequence[Any], *, is_ours: bool) -> list[Stage]:
    """Return the stages that yield these documents as ``{_id, key}``, the one to keep rather first."""
    return [
        *_question_stages({"_id": {"$in": list(ids)}}),
        {"$sort": _order(is_ours=is_ours)},
        {"$project": {"key": 1}},
    ]


def _question_stages(searched: Stage) -> list[Stage]:
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
    """Return the order of a group. Readers find only our keys: among our records these go before the date."""
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
        # The former program's figures of another product, other parameters or another range are others.
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
    """Return the value as text: "" for none, null for what has no text."""
    return {"$convert": {"input": value, "to": "string", "onError": None, "onNull": ""}}


def _date(value: Expression) -> Expression:
    return {"$convert": {"input": value, "to": "date", "onError": None, "onNull": None}}


def _replaced(value: Expression, found: str, replacement: str) -> Expression:
    return {"$let": {"vars": {"it": value}, "in": {"$cond": [{"$eq": ["$$it", found]}, replacement, "$$it"]}}}
