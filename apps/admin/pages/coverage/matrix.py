"""The map of one data set: a row for each category, a column for each period, a letter for each state."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from apps.admin.pages.coverage.filters import Filters, read_coverage, shown_categories
from apps.categories.selectors import NamedCategory, ids_with_children
from apps.core.periods import Period
from apps.core.printable import sentences_text
from apps.mengla.choices import Action
from apps.mengla.monitoring.coverage import Coverage, Mark, Totals, count_cells, count_marks


@dataclass(frozen=True, slots=True)
class Look:
    """How a state is shown: its letter is a class in the style sheet, its sign makes colours unnecessary."""

    letter: str
    sign: str
    name: str | Promise


LOOKS = {
    Mark.PRESENT: Look("P", "P", gettext_lazy("present")),
    Mark.STALE: Look("S", "S", gettext_lazy("present, stale")),
    Mark.PROVISIONAL: Look("V", "V", gettext_lazy("provisional")),
    Mark.DUE: Look("D", "D", gettext_lazy("provisional, due")),
    Mark.EMPTY: Look("E", "E", gettext_lazy("empty")),
    Mark.MISSING: Look("M", "·", gettext_lazy("missing")),
    Mark.FAILED: Look("X", "×", gettext_lazy("failed")),
    Mark.QUEUED: Look("Q", "Q", gettext_lazy("queued")),
    Mark.IN_FLIGHT: Look("F", "»", gettext_lazy("in flight")),
}
_CELLS = {look.letter: f'<td class="{look.letter}">{look.sign}</td>' for look in LOOKS.values()}


@dataclass(frozen=True, slots=True)
class Row:
    """One category with the letters of its cells, first period to last."""

    category: NamedCategory
    name: str
    address: str  # of the map of its children; empty if it has none
    letters: str
    totals: Totals

    @property
    def stored(self) -> str:
        """How many of its cells have figures."""
        return f"{self.totals.present}/{self.totals.all}"

    @property
    def cells(self) -> SafeString:
        """The cells as HTML. No template is used, because a page may have thousands of cells."""
        return mark_safe("".join(_CELLS[letter] for letter in self.letters))  # noqa: S308 - constants only


@dataclass(frozen=True, slots=True)
class Matrix:
    """The map, the number of its cells in each state, and that as a text."""

    heads: SafeString
    rows: list[Row]
    legend: list[tuple[Look, int]]
    summary: str
    failures: str  # how many cells failed; empty if none
    periods: Sequence[Period]
    is_under_way: bool

    @property
    def newest_first(self) -> list[Period]:
        """The periods, last to first."""
        return list(reversed(self.periods))

    def live(self) -> dict[str, Any]:
        """Return what changes while the page is open."""
        return {
            "rows": {row.category.cat_id: [row.letters, row.stored] for row in self.rows},
            "legend": {look.letter: f"{count:,}" for look, count in self.legend},
            "summary": self.summary,
            "failures": self.failures,
        }


def read_matrix(filters: Filters) -> Matrix | None:
    """Read the map; None if there are no categories.

    :raises InvalidInput: when it would have too many cells.
    """
    categories = shown_categories(filters)
    if not categories:
        return None
    found = read_coverage(filters, categories)
    opened = filters.parent.cat_id if filters.parent else None
    with_children = ids_with_children(category.cat_id for category in categories) - {opened}
    rows = [
        Row(
            category,
            category.own_name,
            filters.address(parent=category.cat_id) if category.cat_id in with_children else "",
            "".join(LOOKS[cell.mark].letter for cell in cells),
            count_cells(cells),
        )
        for category, (_action, _cat_id, cells) in zip(categories, found.rows(), strict=True)
    ]
    totals = found.totals()
    counts = count_marks(cell for _action, _cat_id, cells in found.rows() for cell in cells)
    legend = [(look, counts[mark]) for mark, look in LOOKS.items()]
    heads = heads_html(found.periods)
    return Matrix(
        heads,
        rows,
        legend,
        summary_of(found, totals),
        failures_of(totals),
        found.periods,
        totals.in_flight > 0,
    )


def summary_of(found: Coverage, totals: Totals) -> str:
    """Say in words how much is stored, what a fill would collect, and what is being done."""
    texts = [
        _("%(stored)s of %(all)s cells are stored (%(percent)d %%).")
        % {
            "stored": f"{totals.present + totals.empty:,}",
            "all": f"{totals.all:,}",
            "percent": totals.percent,
        },
        _("A fill would collect %(count)s.") % {"count": f"{totals.gaps:,}"},
    ]
    if totals.in_flight:
        texts.append(
            _("%(queued)s queued, %(in_flight)s in flight.")
            % {"queued": f"{totals.queued:,}", "in_flight": f"{totals.dispatched:,}"}
        )
    collections = found.queued_collections + found.dispatched_collections
    if found.is_under_way(Action.INDUSTRY_TREND):
        text = ngettext(
            "They belong to %(count)s collection: that of a trend has a cell for each of its periods.",
            "They belong to %(count)s collections: that of a trend has a cell for each of its periods.",
            collections,
        )
        texts.append(text % {"count": f"{collections:,}"})
    return sentences_text(texts)


def failures_of(totals: Totals) -> str:
    """Say in words how many cells failed; empty if none did."""
    if not totals.failed:
        return ""
    text = ngettext(
        "The last collection of %(count)s cell failed.",
        "The last collections of %(count)s cells failed.",
        totals.failed,
    )
    return text % {"count": f"{totals.failed:,}"}


def heads_html(periods: Iterable[Period]) -> SafeString:
    """Return the column headings as HTML."""
    heads = "".join(
        f'<th scope="col" data-period="{escape(period.key)}"><span>{escape(period.dashed)}</span></th>'
        for period in periods
    )
    return mark_safe(heads)  # noqa: S308 - everything variable is escaped
