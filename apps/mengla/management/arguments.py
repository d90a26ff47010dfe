"""The arguments that several commands of this app share."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _

from apps.categories.selectors import CategoryNames, resolve_categories
from apps.core.management.arguments import argument, one_of, shown
from apps.core.periods import Period, parse_granularity, parse_range
from apps.core.printable import has_unprintable, list_text
from apps.mengla.choices import Action
from apps.mengla.queries.data_query import ALL_CATEGORIES
from apps.mengla.runs.collect import Selection, select

_MAX_NAME_LENGTH = 500  # of a name that is stored

granularity_argument = argument(parse_granularity)


def add_selection(parser: CommandParser, *, all_categories: str = "") -> None:
    """Add ``--category`` and ``--action``; ``all_categories`` names what an absent ``--category`` means."""
    add_categories(parser, all_categories=all_categories)
    parser.add_argument(
        "--action",
        nargs="+",
        action="extend",
        default=[],
        type=one_of(lambda: list(Action.values)),
        metavar="A",
        help=_("data sets: %(names)s (default: all of them)") % {"names": list_text(Action.values)},
    )


def add_categories(parser: CommandParser, *, all_categories: str = "") -> None:
    """Add ``--category``; ``all_categories`` names what its absence means."""
    all_categories = all_categories or _("every level-1 category")
    parser.add_argument(
        "--category",
        nargs="+",
        action="extend",
        default=[],
        type=_category,
        metavar="C",
        help=_(
            "categories by id or name (Chinese or Russian, its beginning is enough), or `all` for all "
            "categories together (default: %(all)s)"
        )
        % {"all": all_categories},
    )


def add_range(parser: CommandParser, *, is_required: bool = True) -> None:
    """Add ``--from``, ``--to`` and ``--granularity``."""
    parser.add_argument(
        "--from",
        dest="range_start",
        required=is_required,
        metavar="D",
        help=_("first period: 2025-06-01, 2025-06, 2025-Q2, 2025, or without dashes"),
    )
    parser.add_argument("--to", dest="range_end", required=is_required, metavar="D", help=_("last period"))
    parser.add_argument(
        "--granularity",
        type=granularity_argument,
        metavar="G",
        help=_(
            "day, month, quarter or year (default: that of the given periods); with month, quarter or year, "
            "--from and --to may also be the first and the last day of the range"
        ),
    )


def read_selection(options: Mapping[str, Any]) -> Selection:
    """Return the selected categories and actions.

    :raises InvalidInput: for unknown categories and ambiguous names.
    """
    return select(cat_ids=read_categories(options), actions=options["action"], field="category")


def read_categories(options: Mapping[str, Any]) -> list[str]:
    """Return the ids of the given categories, ``all`` among them, in their order.

    :raises InvalidInput: for unknown categories and ambiguous names.
    """
    named = [text for text in options["category"] if text != ALL_CATEGORIES]
    cat_ids = dict(zip(named, resolve_categories(named, field="category"), strict=True))
    return [cat_ids.get(text, text) for text in options["category"]]


def category_text(cat_id: str, names: CategoryNames) -> str:
    """Return a category as people read it: its names and its id, "all" for all categories together."""
    return names.path_text(cat_id) if cat_id else ALL_CATEGORIES


def read_range(options: Mapping[str, Any]) -> tuple[Period, Period]:
    """Return the first and the last period.

    :raises InvalidInput: when they are invalid, or do not form a range.
    """
    return parse_range(options["range_start"], options["range_end"], options["granularity"])


def _category(text: str) -> str:
    """Return an id or a name as it was given; the database knows which ones there are."""
    if text.strip().casefold() == ALL_CATEGORIES:
        return ALL_CATEGORIES
    if not text.strip() or len(text) > _MAX_NAME_LENGTH or has_unprintable(text):
        raise argparse.ArgumentTypeError(_("invalid category %(text)s") % {"text": shown(text)})
    return text.strip()
