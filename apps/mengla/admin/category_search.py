"""The search of lists by category: its id, its name, or a part of it."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest
from django.utils.translation import ngettext

from apps.categories.selectors import find_cat_ids

# Each category is a range of an index, and a list merges them all.
MOST_CATEGORIES = 40


def categories_searched(request: HttpRequest, text: str) -> list[str] | None:
    """Return the ids of the categories that the text names; None, with a message, if these are too many."""
    found = find_cat_ids(text)
    if len(found) <= MOST_CATEGORIES:
        return found
    told = ngettext(
        "%(count)d category has “%(text)s” in its name. Enter more of the name.",
        "%(count)d categories have “%(text)s” in their names. Enter more of the name.",
        len(found),
    )
    messages.warning(request, told % {"count": len(found), "text": text[:60]})
    return None
