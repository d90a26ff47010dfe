"""The overview of the coverage page: how much of each data set and period is stored, in per cent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from apps.admin.pages.coverage.filters import Filters, read_coverage, shown_categories
from apps.admin.pages.coverage.matrix import failures_of, heads_html, summary_of
from apps.core.periods import Period
from apps.mengla.choices import Action
from apps.mengla.monitoring.coverage import Coverage, Totals, count_cells

_TENTH = 10


@dataclass(frozen=True, slots=True)
class Share:
    """How much is stored of one data set in one period."""

    action: Action
    period: Period
    totals: Totals
    address: str

    @property
    def key(self) -> str:
        """Its name among all of them."""
        return f"{self.action.value}:{self.period.key}"

    @property
    def tenths(self) -> int:
        """How many tenths are stored; ten only if all is."""
        return self.totals.percent // _TENTH

    @property
    def html(self) -> SafeString:
        """What its table cell shows."""
        return render_to_string("collector/coverage_share.html", {"share": self})


@dataclass(frozen=True, slots=True)
class OverviewRow:
    """One data set over all periods."""

    action: Action
    totals: Totals
    address: str
    shares: list[Share]

    @property
    def text(self) -> str:
        """How much of the data set is stored."""
        return _("%(percent)d %% stored") % {"percent": self.totals.percent}


@dataclass(frozen=True, slots=True)
class Overview:
    """The table, and the sum of it in words."""

    heads: SafeString
    rows: list[OverviewRow]
    summary: str
    failures: str  # how many cells failed; empty if none
    category_count: int
    is_under_way: bool

    def live(self) -> dict[str, Any]:
        """Return what changes while the page is open."""
        return {
            "shares": {share.key: share.html for row in self.rows for share in row.shares},
            "rows": {row.action.value: row.text for row in self.rows},
            "summary": self.summary,
            "failures": self.failures,
        }


def read_overview(filters: Filters) -> Overview | None:
    """Read the overview; None if there are no categories.

    :raises InvalidInput: when it would need too many cells.
    """
    categories = shown_categories(filters)
    if not categories:
        return None
    found = read_coverage(filters, categories)
    totals = found.totals()
    return Overview(
        heads=heads_html(found.periods),
        rows=[_row(filters, found, action) for action in found.actions],
        summary=summary_of(found, totals),
        failures=failures_of(totals),
        category_count=len(categories),
        is_under_way=totals.in_flight > 0,
    )


def _row(filters: Filters, found: Coverage, action: Action) -> OverviewRow:
    cells = (cell for row_action, _cat_id, cells in found.rows() if row_action is action for cell in cells)
    shares = [
        Share(
            action,
            period,
            found.totals_of(action, period),
            filters.address(action=action.value, **{"from": period.key, "to": period.key}),
        )
        for period in found.periods
    ]
    return OverviewRow(action, count_cells(cells), filters.address(action=action.value), shares)
