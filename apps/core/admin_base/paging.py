"""A pager for lists of a million rows: it reads one row more than it shows, and counts nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.paginator import Page, Paginator
from django.utils.functional import cached_property

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
        first = (number - 1) * self.per_page
        rows = list(self.object_list[first : first + self.per_page + 1])
        self.has_more = len(rows) > self.per_page and number < MAX_PAGE_NUMBER
        return Page(rows[: self.per_page], number, self)
