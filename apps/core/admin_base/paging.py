"""A pager for lists of a million rows: it reads one row more than it shows, and counts nothing.

The ORM would sort the whole MongoDB collection: it puts an ``$addFields`` of the sorted fields before the
``$sort``, and MongoDB then uses no index for the order. So this module reads the keys of a page itself.
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

# Skipping rows takes time, so there are no pages beyond this one; older rows are found with a filter.
MAX_PAGE_NUMBER = 1000


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
        by_key = {row.pk: row for row in rows.order_by().filter(pk__in=keys)}
        return Page([by_key[key] for key in keys[: self.per_page] if key in by_key], number, self)


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
    pipeline = [
        {"$match": query.match_mql},
        {"$sort": query.ordering},
        {"$skip": skip},
        {"$limit": limit},
        {"$project": {key: 1}},
    ]
    return [row[key] for row in collection_of(queryset.model).aggregate(pipeline)]
