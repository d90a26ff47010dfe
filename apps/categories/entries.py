"""Categories as final bytes in the shared cache tiers: for the category endpoints, and for figures.

All clients read the tree, and it changes a few times a year. An import invalidates these entries in every
process at once. They are fresh for a short time only, in case an import is killed before it does so. While
MongoDB is down, the last known entry is served.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from apps.categories import selectors
from apps.categories.errors import CategoryNotFound
from apps.core.api.envelope import dump_json, success_body
from apps.core.caching.entry import Built, build_lasting_entry
from apps.core.caching.read_through import Found, get_or_build

FRESH_SECONDS: Final = 60
_GROUP: Final = "categories"
_TREE_FIELD: Final = "tree"
_IDS_FIELD: Final = "ids"


def tree_entry() -> Found[Built]:
    """Return the whole tree, as an entry of the caches."""
    return _entry(_TREE_FIELD, selectors.build_tree)


def category_entry(cat_id: str) -> Found[Built]:
    """Return one category and its children, as an entry of the caches.

    :raises CategoryNotFound: when no category has this id.
    """
    if not selectors.is_cat_id(cat_id):  # only an id may name a cache entry
        raise CategoryNotFound
    return _entry(cat_id, partial(selectors.get_category, cat_id))


def is_known(cat_id: str) -> bool:
    """Whether a category has this id; ``cat_id`` may be any text."""
    return selectors.is_cat_id(cat_id) and f"\n{cat_id}\n".encode() in _found(_IDS_FIELD, _all_ids).entry.body


def children_json(cat_id: str) -> bytes:
    """Return the children of a category as a JSON list, in file order; an empty one for an unknown id."""
    if not selectors.is_cat_id(cat_id):
        return b"[]"
    return _found(f"{cat_id}/children", lambda: dump_json(selectors.list_children(cat_id))).entry.body


def _all_ids() -> bytes:
    """Return the ids of all categories, each between two line breaks."""
    return "\n".join(["", *selectors.list_all_ids(), ""]).encode()


def _entry(field: str, read: Callable[[], Any]) -> Found[Built]:
    return _found(field, lambda: dump_json(success_body(read())))


def _found(field: str, build_body: Callable[[], bytes]) -> Found[Built]:
    def build() -> Built:
        return Built(build_lasting_entry(build_body(), fresh_seconds=FRESH_SECONDS))

    return get_or_build(_GROUP, field, build)
