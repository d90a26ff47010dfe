"""How the pages of this app show the category of a record or a collection."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.categories.selectors import CategoryNames
from apps.core.stored_messages import HISTORY
from apps.mengla.models import Collection, Record

Row = TypeVar("Row", Record, Collection)


def category_text(cat_id: str, names: CategoryNames) -> SafeString | str:
    """Return the name of a category, then its id smaller; its title has the names of its parents, too."""
    own = names.own(cat_id)
    if not own:
        return names.text(cat_id)
    return format_html(
        '<span class="whitespace-nowrap" title="{}">{} <small>{}</small></span>',
        names.path(cat_id),
        own,
        cat_id,
    )


def look_up_names(rows: Iterable[Record | Collection]) -> None:
    """Look up the names of the categories of these rows, for :func:`names_of`."""
    shown = list(rows)
    names = CategoryNames(row.cat_id for row in shown)
    for row in shown:
        row.category_names = names


def names_of(row: Record | Collection) -> CategoryNames:
    """Return the names that were looked up for the row and its neighbours, or else for this row alone."""
    return row.category_names or CategoryNames([row.cat_id])


def set_title(row: Row | None) -> Row | None:
    """Let the page of a row have the name of its figures as its title, in place of a key."""
    if row is not None:
        row.category_names = names_of(row)
        row.title = HISTORY.translated(row.history_name())
    return row
