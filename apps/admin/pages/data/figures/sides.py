"""The figures that a chart shows side by side: of the query, of further categories, of other periods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.admin.pages.data.addresses import address_of, parameters_of
from apps.admin.pages.data.facts import freshness_of
from apps.admin.pages.data.figures.options import Options, compared_query
from apps.categories.selectors import named_categories, with_id
from apps.core.printable import facts_text
from apps.core.time_texts import period_text
from apps.mengla.monitoring.figure_tables import Table, tables_of
from apps.mengla.queries.data_query import DataQuery
from apps.mengla.reading.read import Hit, Miss, read_stored


@dataclass(frozen=True, slots=True)
class Side:
    """Figures with their name in legends. Those that are not stored have no tables."""

    query: DataQuery
    name: str
    found: Hit | Miss | None
    is_compared: bool = False  # with those of the query; otherwise of the query or a further category
    is_linked: bool = True  # the figures of the page itself need no link
    tables: Sequence[Table] = field(default_factory=list)

    def table(self, name: str) -> Table | None:
        """Return the table with this name, None when the figures have none."""
        return next((table for table in self.tables if table.name == name), None)

    @property
    def address(self) -> str:
        """The address of the page that shows these figures alone."""
        return address_of("admin:collector_data", parameters_of(self.query))

    @property
    def is_stored(self) -> bool:
        """Whether there are figures, or it is known that there are none."""
        return isinstance(self.found, Hit)

    @property
    def is_collected_on_demand(self) -> bool:
        """Whether nobody has asked for the figures yet: who looks at them has them collected."""
        return self.found is None

    @property
    def states(self) -> list[tuple[str, str]]:
        """What is to be known about the figures: the style of a badge and its text; nothing when fresh."""
        if isinstance(self.found, Miss):
            return [("is-stale", _("being collected"))]
        if self.found is None:
            return [("is-empty", _("not stored"))]
        facts = freshness_of(self.found)
        states = [
            ("is-empty", _("empty"), facts["is_empty"]),
            ("is-stale", _("stale"), facts["is_stale"]),
            ("is-provisional", _("provisional"), facts["is_provisional"]),
            ("is-stale", _periods_text(facts), bool(facts["found"])),
        ]
        return [(style, text) for style, text, is_true in states if is_true]


def tables_of_hit(query: DataQuery, hit: Hit) -> list[Table]:
    """Return the tables of figures; none when it is known that there are no figures."""
    if hit.is_empty:
        return []
    return tables_of(query, orjson.loads(hit.entry.body)["data"])


def read_side(query: DataQuery, name: str, *, is_compared: bool = False) -> Side:
    """Return the stored figures of a query; nothing is collected."""
    found = read_stored(query)
    tables = tables_of_hit(query, found) if isinstance(found, Hit) else []
    return Side(query, name, found, is_compared=is_compared, tables=tables)


def read_sides(query: DataQuery, options: Options, hit: Hit, tables: Sequence[Table]) -> list[Side]:
    """Return the figures of the query, of the further categories and of what they are compared with.

    Of the first, ``hit`` and ``tables``, the latter in the order of the page, have been read before.
    """
    names = category_labels([query.cat_id, *options.also])
    category, period = names[query.cat_id], period_text(query.start, query.end)
    main = Side(query, category if options.also else period, hit, is_linked=False, tables=tables)
    sides = [main, *(read_side(replace(query, cat_id=one), names[one]) for one in options.also)]
    if options.compare:
        other = compared_query(query, options.compare)
        name = period_text(other.start, other.end)
        if options.also:
            name = facts_text([category, name])
        sides.append(read_side(other, name, is_compared=True))
    return sides


def category_labels(cat_ids: Sequence[str]) -> Mapping[str, str]:
    """Return short names of categories by id, "" for all of them; equal ones are told apart by their ids."""
    named = named_categories(cat_ids)
    labels = {one: named[one].own_name if one in named else one or _("All categories") for one in cat_ids}
    texts = list(labels.values())
    return {
        cat_id: label if texts.count(label) == 1 else with_id(label, cat_id)
        for cat_id, label in labels.items()
    }


def _periods_text(facts: Mapping[str, Any]) -> str:
    if not facts["found"]:
        return ""
    text = ngettext(
        "%(found)s of %(requested)s period has figures",
        "%(found)s of %(requested)s periods have figures",
        int(facts["requested"]),
    )
    return text % {"found": facts["found"], "requested": facts["requested"]}
