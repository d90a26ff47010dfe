"""The measures of a table: its columns with numbers that a chart can draw, and their units."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

from apps.core.printable import percent_text
from apps.mengla.choices import Action
from apps.mengla.monitoring.figure_tables import Column, Kind, Table, Value, known_columns

# By the name of a table, the measures that its chart shows until the reader chooses one.
DEFAULTS: Mapping[str, tuple[str, ...]] = {
    "ranking": ("monthSales",),
    "sales": ("itemCountRate", "salesRate", "gmvRate"),
    "turnover": ("itemCountRate", "salesRate", "gmvRate"),
    "prices": ("itemCountRate", "salesRate", "gmvRate"),
    "brands": ("brandGmvRate", "brandSalesRate"),
    "trend": ("monthSales", "monthGmv"),
}
# Numbers that name or order something.
_NO_MEASURES = frozenset({"rank", "id", "typeId", "catTag", "catId", "catId1", "catId2", "catId3"})
_CURRENCIES = ("₽", "¥")


@dataclass(frozen=True, slots=True)
class Measure:
    """A column with numbers; ``title`` is its name without a unit of percent."""

    key: str
    title: str
    kind: Kind

    @property
    def is_percent(self) -> bool:
        """Whether its numbers are per cent."""
        return self.kind in (Kind.PERCENT, Kind.CHANGE)

    @property
    def sign(self) -> str:
        """What stands behind a number: a sign of per cent, a currency or nothing."""
        if self.is_percent:
            return percent_text("")
        currency = next((one for one in _CURRENCIES if one in self.title), "")
        return f" {currency}" if currency else ""

    @property
    def axis_title(self) -> str:
        """The name with its unit, for an axis."""
        if self.is_percent:
            return _("%(measure)s, %%") % {"measure": self.title}
        if self.kind is Kind.NUMBER:
            return _("%(measure)s, number") % {"measure": self.title}
        return self.title


def measures_of(table: Table) -> list[Measure]:
    """Return the measures of a table: those of its columns that hold a number at least."""
    return [
        Measure(column.key, column.short_title, column.kind)
        for column in table.columns
        if _may_measure(column) and any(number_of(value) is not None for value in table.values(column.key))
    ]


def known_measures(action: Action) -> list[str]:
    """Return the keys of the measures that a data set is known to have."""
    return list(dict.fromkeys(column.key for column in known_columns(action) if _may_measure(column)))


def is_known_measure(key: str) -> bool:
    """Whether any data set is known to have the measure."""
    return any(key in known_measures(action) for action in Action)


def chosen_measures(table: Table, chosen: str) -> list[Measure]:
    """Return the chosen measure of a table, else the default ones; none without numbers."""
    measures = {measure.key: measure for measure in measures_of(table)}
    if chosen in measures:
        return [measures[chosen]]
    defaults = [measures[key] for key in DEFAULTS.get(table.name, ()) if key in measures]
    return defaults or list(measures.values())[:1]


def number_of(value: Value) -> float | None:
    """Return a value that a chart can draw, else None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return value if math.isfinite(value) else None
    except OverflowError:  # an integer that no float can hold
        return None


def difference(now: float | None, before: float | None) -> float | None:
    """Return how much has been added; None when one of both is unknown."""
    return None if now is None or before is None else number_of(_rounded(now - before))


def change_percent(now: float | None, before: float | None) -> float | None:
    """Return the change in per cent; None without both, and when there is nothing to compare with."""
    if now is None or not before:
        return None
    return number_of(_rounded((now - before) / abs(before) * 100))


def _rounded(value: float) -> float:
    return value if isinstance(value, int) else round(value, 2)


def _may_measure(column: Column) -> bool:
    return column.is_number and column.key not in _NO_MEASURES


def titles_of(measures: Sequence[Measure]) -> str:
    """Return the names of the measures that one chart shows together."""
    return " · ".join(measure.title for measure in measures)
