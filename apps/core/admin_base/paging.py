"""A pager for lists of a million rows: it reads one row more than it shows, and counts nothing.

The ORM would sort the whole MongoDB collection: it puts an ``$addFields`` of the sorted fields before the
``$sort``, and MongoDB then uses no index for the order. So this module reads the keys of a page itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any, cast

from bson import MinKey
from django.core.exceptions import EmptyResultSet
from django.core.paginator import Page, Paginator
from django.db import connections
from django.db.models import Field, Model, QuerySet
from django.utils.functional import cached_property
from pymongo.collection import Collection as MongoCollection

from apps.core.storage.mongo import collection_of

if TYPE_CHECKING:
    _Paginator = Paginator[Any]
else:
    _Paginator = Paginator

# Skipping rows takes time, so there are no pages beyond this one; older rows are found with a filter.
MAX_PAGE_NUMBER = 1000
# With so many rows before a page, it is worth looking how many of the first rows match the filter.
_LONG_SKIP, _SAMPLE = 2_000, 1_000


class NextOnlyPaginator(_Paginator):
    """Knows, after a page was read, whether there is a next page, but not how many pages there are."""

    template_name = "collector/pagination.html"
    has_more = False

    @cached_property
    def count(self) -> int:
        """An upper bound of the rows that can be paged through; the admin needs some count."""
        return int(self.per_page) * MAX_PAGE_NUMBER

    def page(self, number: Any) -> Page[Any]:
        """Read one page, and set ``has_more``."""
        number = self.validate_number(number)
        rows = cast("QuerySet[Any]", self.object_list)
        keys = _keys(rows, skip=(number - 1) * self.per_page, limit=self.per_page + 1)
        self.has_more = len(keys) > self.per_page and number < MAX_PAGE_NUMBER
        return Page(_rows_of(rows, keys[: self.per_page]), number, self)


def first_rows(queryset: QuerySet[Any], limit: int) -> list[Any]:
    """Return the first rows of the query set, in its order, using indexes."""
    return _rows_of(queryset, _keys(queryset, skip=0, limit=limit))


def _rows_of(queryset: QuerySet[Any], keys: Sequence[Any]) -> list[Any]:
    by_key = {row.pk: row for row in queryset.order_by().filter(pk__in=keys)}
    return [by_key[key] for key in keys if key in by_key]


def _keys(queryset: QuerySet[Any], *, skip: int, limit: int) -> list[Any]:
    """Return the keys of a slice of the query set, in its order, using indexes.

    :raises NotImplementedError: for a query set over more than one MongoDB collection.
    """
    key = queryset.model._meta.pk.column
    alone = queryset.select_related(None)
    compiler: Any = alone.query.get_compiler(connection=connections[alone.db])
    try:
        compiler.pre_sql_setup()
        query = compiler.build_query()
    except EmptyResultSet:
        return []
    if query.lookup_pipeline or query.aggregation_pipeline or query.subqueries:
        raise NotImplementedError("This list cannot be paged: it joins collections.")
    documents = collection_of(queryset.model)
    match: Mapping[str, Any] = query.match_mql
    options: dict[str, Any] = {}
    if fixed := _fixed_fields(match):
        walked, merged = _indexes_of_page(queryset.model, fixed, _fields(match), query.ordering)
        if walked and skip >= _LONG_SKIP and _do_most_match(documents, match, query.ordering, walked):
            # MongoDB filters by the keys of an index only if a condition on its first field has chosen it.
            match = {"$and": [match, {next(iter(query.ordering)): {"$gt": MinKey()}}]}
            options = {"hint": walked}
        elif merged:
            options = {"hint": merged}
    pipeline = [
        {"$match": match},
        {"$sort": query.ordering},
        {"$skip": skip},
        {"$limit": limit},
        {"$project": {key: 1}},
    ]
    return [row[key] for row in documents.aggregate(pipeline, **options)]


def _indexes_of_page(
    model: type[Model], fixed: AbstractSet[str], fields: AbstractSet[str], order: Mapping[str, int]
) -> tuple[str, str]:
    """Return the names of the two indexes that can serve a filtered page alone; empty if there is none.

    The first one begins with the order: MongoDB walks through all rows before the page, also those that
    the filter excludes. The second one begins with filtered fields (``fixed``), then has the order: MongoDB
    merges the ranges of the values. Without a hint it would try each of them, and others, and each would
    skip all rows before the page.
    """
    walked, merged, longest = "", "", 0
    ordered = list(order.items())
    for index in model._meta.indexes:
        keys = [(_column(model, name), -1 if direction else 1) for name, direction in index.fields_orders]
        names = [name for name, _direction in keys]
        if index.condition is not None or not fields <= set(names):
            continue
        begin = next((at for at, name in enumerate(names) if name not in fixed), len(names))
        if keys[: len(ordered)] == ordered:
            walked = index.name
        elif keys[begin : begin + len(ordered)] == ordered and begin > longest:
            merged, longest = index.name, begin
    return walked, merged


def _column(model: type[Model], name: str) -> str:
    return str(cast("Field[Any, Any]", model._meta.get_field(name)).column)


def _do_most_match(
    documents: MongoCollection[dict[str, Any]], match: Mapping[str, Any], order: Mapping[str, int], index: str
) -> bool:
    """Whether most of the first rows match the filter."""
    first: list[dict[str, Any]] = [
        {"$sort": order},
        {"$limit": _SAMPLE},
        {"$match": match},
        {"$count": "matching"},
    ]
    found = next(iter(documents.aggregate(first, hint=index)), {"matching": 0})
    return bool(found["matching"] * 2 > _SAMPLE)


def _fixed_fields(match: Mapping[str, Any]) -> set[str]:
    """Return the fields that a filter compares with a value, or with some values."""
    fields: set[str] = set()
    for name, condition in match.items():
        if name == "$and":
            fields.update(*map(_fixed_fields, condition))
        elif not name.startswith("$") and (not isinstance(condition, dict) or set(condition) == {"$in"}):
            fields.add(name)
    return fields


def _fields(match: Mapping[str, Any]) -> set[str]:
    """Return all fields of a filter; operators other than ``$and`` count as fields that no index has."""
    fields: set[str] = set()
    for name, condition in match.items():
        fields.update(*map(_fields, condition)) if name == "$and" else fields.add(name)
    return fields
