"""A pager for lists of a million rows: it reads one row more than it shows, and counts nothing.

The ORM's own pages would sort the whole collection: it writes an ``$addFields`` of the sorted fields before
the ``$sort``, and behind that MongoDB uses no index for the order. So the keys of a page are asked for here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django.core.exceptions import EmptyResultSet
from django.core.paginator import Page, Paginator
from django.db import connections
from django.db.models import QuerySet
from django.utils.functional import cached_property

from apps.core.storage.mongo import collection_of

if TYPE_CHECKING:
    _Paginator = Paginator[Any]
else:
    _Paginator = Paginator

# Skipping rows costs time, so nobody pages further than this; a filter finds what is older.
MAX_PAGE_NUMBER = 1000


class NextOnlyPaginator(_Paginator):
    """Knows whether there is a next page, once a page was read, and not how many there are."""

    template_name = "collector/pagination.html"
    has_more = False

    @cached_property
    def count(self) -> int:
        """The most rows that can be paged through; the admin asks for a count, and gets a bound."""
        return int(self.per_page) * MAX_PAGE_NUMBER

    def page(self, number: Any) -> Page[Any]:
        """Read one page, and whether another one follows."""
        number = self.validate_number(number)
        rows = cast("QuerySet[Any]", self.object_list)
        keys = _keys(rows, skip=(number - 1) * self.per_page, limit=self.per_page + 1)
        self.has_more = len(keys) > self.per_page and number < MAX_PAGE_NUMBER
        by_key = {row.pk: row for row in rows.order_by().filter(pk__in=keys)}
        return Page([by_key[key] for key in keys[: self.per_page] if key in by_key], number, self)


def _keys(queryset: QuerySet[Any], *, skip: int, limit: int) -> list[Any]:
    """Return the keys of some of the rows the query set names, in its order, by its indexes.

    :raises NotImplementedError: for a query set over more than one collection.
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
    pipeline = [
        {"$match": query.match_mql},
        {"$sort": query.ordering},
        {"$skip": skip},
        {"$limit": limit},
        {"$project": {key: 1}},
    ]
    return [row[key] for row in collection_of(queryset.model).aggregate(pipeline)]
