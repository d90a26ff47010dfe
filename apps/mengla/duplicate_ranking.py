"""The aggregation that ranks the documents of each question: the first one stays, the others are duplicates.

Pure: it builds stages and asks nothing. It reads our documents and those of the former program alike, so
that both spellings of one question meet in one group.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from apps.mengla.choices import Action
from apps.mengla.data_query import ALL_CATEGORIES

Expression = Any
Stage = dict[str, Any]

# What tells that a document was written anew; without any of them, its data is compared.
CHANGE_MARKS = ("updated_at", "data_hash")


def ranking_stages(*, only_ids: Sequence[Any] | None = None) -> list[Stage]:
    """Return the stages that yield every duplicate as ``{_id, key, keeper}``, group by group.

    With ``only_ids`` only these are ranked, and each has the marks of its state in ``seen``. A document whose
    question cannot be read is never part of a group.
    """
    is_second_look = only_ids is not None
    searched = {"action": {"$type": "string"}} | ({"_id": {"$in": only_ids}} if is_second_look else {})
    seen = {"seen": _seen()} if is_second_look else {}
    return [
        {"$match": searched},
        {"$project": {"key": _key(), "is_empty": _is_empty(), "written_at": _written_at()} | seen},
        {
            "$match": {
                "key.cat_id": {"$ne": None},
                "key.granularity": {"$nin": [None, ""]},
                "key.period_key": {"$nin": [None, ""]},
                "key.variant": {"$ne": None},
            }
        },
        {"$set": {"is_foreign": {"$ne": ["$_id", _our_id()]}}},
        {
            "$setWindowFields": {
                "partitionBy": "$key",
                "sortBy": {"is_empty": 1, "written_at": -1, "is_foreign": 1, "_id": -1},
                "output": {"keeper": {"$first": "$_id", "window": {"documents": ["unbounded", "current"]}}},
            }
        },
        {"$match": {"$expr": {"$ne": ["$_id", "$keeper"]}}},
        {"$project": {"key": 1, "keeper": 1} | ({"seen": 1} if is_second_look else {})},
    ]


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


def _is_empty() -> Expression:
    nothing: list[Any] = [None, {"$literal": []}, {"$literal": {}}, ""]
    has_no_data = {"$in": [_first_of("$data", None), nothing]}
    return {
        "$convert": {
            "input": _first_of("$is_empty", has_no_data),
            "to": "bool",
            "onError": False,
            "onNull": False,
        }
    }


def _written_at() -> Expression:
    noted = _date(_first_of("$updated_at", "$collected_at", "$created_at", None))
    of_id = {"$cond": [{"$eq": [{"$type": "$_id"}, "objectId"]}, {"$toDate": "$_id"}, None]}
    return _first_of(noted, of_id)


def _seen() -> Expression:
    has_marks = {"$or": [{"$ne": [{"$type": f"${mark}"}, "missing"]} for mark in CHANGE_MARKS]}
    return {mark: f"${mark}" for mark in CHANGE_MARKS} | {"data": {"$cond": [has_marks, "$$REMOVE", "$data"]}}


def _first_of(*expressions: Expression) -> Expression:
    return {"$ifNull": list(expressions)}


def _text(value: Expression) -> Expression:
    """Return the value as text: "" for none, null for what has no text."""
    return {"$convert": {"input": value, "to": "string", "onError": None, "onNull": ""}}


def _date(value: Expression) -> Expression:
    return {"$convert": {"input": value, "to": "date", "onError": None, "onNull": None}}


def _replaced(value: Expression, found: str, replacement: str) -> Expression:
    return {"$let": {"vars": {"it": value}, "in": {"$cond": [{"$eq": ["$$it", found]}, replacement, "$$it"]}}}
