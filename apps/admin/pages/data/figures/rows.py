"""The rows of several tables side by side: which of them are about the same thing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass

from apps.admin.pages.data.figures.options import Options, compared_period
from apps.admin.pages.data.figures.sides import Side
from apps.categories.selectors import NamedCategory
from apps.core.periods import Period
from apps.mengla.monitoring.figure_tables import Table, Value
from apps.mengla.queries.data_query import DataQuery

RANKED = ("ranking", "brands")
_MAX_LABEL = 60
_UNNAMED = "?"
_LEVELS = ("catId1", "catId2", "catId3")
_NO_IDS = frozenset({"", "0"})
_WHOLE_FLOAT_LIMIT = 1e15


@dataclass(frozen=True, slots=True)
class JoinedRow:
    """What one row of each side says about the same thing; None where a side has no such row.

    ``name`` is the full name, ``label`` the short one of an axis. ``periods`` are those of a trend, by side.
    """

    name: str
    label: str
    rows: tuple[int | None, ...]
    periods: tuple[str, ...] = ()


def joined_rows(name: str, sides: Sequence[Side], options: Options) -> list[JoinedRow]:
    """Return the rows of the table with this name, in the order of the first side that has it.

    Rows of a trend are matched by their period, those of a distribution by their range, all others by their
    category ids, else by their names. Rows that only another side has come last.
    """
    if name == "trend":
        return _periods(sides, options)
    tables = [side.table(name) for side in sides]
    if name in RANKED:
        return _labelled(_matched(tables, [_by_ids, _by_ids_and_names, _by_names], full_name))
    return _labelled(_matched(tables, [_by_title, _by_title_and_place], _title))


def full_name(table: Table, row: int) -> str:
    """Return the Chinese name of a row, else the Russian one."""
    names = (_at(table, "catNameCn", row), _at(table, "catName", row))
    return next((str(name) for name in names if name not in (None, "")), _UNNAMED)


def own_part(name: str) -> str:
    """Return a name without the names of its parents."""
    return NamedCategory("", name, "").own_name or name


def level_ids(table: Table, row: int) -> list[str]:
    """Return the ids of the categories of a row, level 1 first, without those that are empty."""
    keys = _LEVELS if table.name == "ranking" else ("catId",)
    ids = [id_text(_at(table, key, row)) for key in keys]
    return [one for one in ids if one]


def id_text(value: Value) -> str:
    """Return a category id, which the service sends as text or as a number; "" for none."""
    if isinstance(value, bool) or value is None:
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < _WHOLE_FLOAT_LIMIT:
        value = int(value)
    text = str(value).strip()
    return "" if text in _NO_IDS else text


def _at(table: Table, key: str, row: int) -> Value:
    index = table.index_of(key)
    return None if index is None else table.rows[row][index]


# --- Matching -------------------------------------------------------------------------------------

Identify = Callable[[Table, int], Hashable]


def _matched(
    tables: Sequence[Table | None], identities: Sequence[Identify], name_of: Callable[[Table, int], str]
) -> list[JoinedRow]:
    """Match the rows of each table with those found before, by the first identity that is unique in both."""
    found: list[list[int | None]] = []
    first: list[tuple[Table, int]] = []  # the row that stands for each of the found ones
    for side, table in enumerate(tables):
        if table is None:
            continue
        free = set(range(len(table.rows)))
        open_rows = set(range(len(found)))
        for identify in identities:
            mine = _unique({row: identify(table, row) for row in sorted(free)})
            known = _unique({place: identify(*first[place]) for place in sorted(open_rows)})
            for identity, row in mine.items():
                if identity in known and _may_be_same((table, row), first[known[identity]]):
                    found[known[identity]][side] = row
                    free.discard(row)
                    open_rows.discard(known[identity])
        for row in sorted(free):
            found.append([row if at == side else None for at in range(len(tables))])
            first.append((table, row))
    return [
        JoinedRow(name, name, tuple(rows))
        for rows, name in zip(found, (name_of(*one) for one in first), strict=True)
    ]


def _may_be_same(one: tuple[Table, int], other: tuple[Table, int]) -> bool:
    """Whether the ids of two rows with the same name do not contradict each other."""
    ids, others = level_ids(*one), level_ids(*other)
    return ids == others or not ids or not others


def _unique(identities: Mapping[int, Hashable]) -> dict[Hashable, int]:
    counts = Counter(identities.values())
    return {
        identity: place
        for place, identity in identities.items()
        if identity is not None and counts[identity] == 1
    }


def _by_ids(table: Table, row: int) -> Hashable:
    return tuple(level_ids(table, row)) or None


def _by_names(table: Table, row: int) -> Hashable:
    name = full_name(table, row)
    return None if name == _UNNAMED else name


def _by_ids_and_names(table: Table, row: int) -> Hashable:
    ids, name = _by_ids(table, row), _by_names(table, row)
    return (ids, name) if ids and name else None


def _by_title(table: Table, row: int) -> Hashable:
    return _title(table, row)


def _by_title_and_place(table: Table, row: int) -> Hashable:
    return (_title(table, row), row)


def _title(table: Table, row: int) -> str:
    value = _at(table, "title", row)
    return _UNNAMED if value is None else str(value)


def _periods(sides: Sequence[Side], options: Options) -> list[JoinedRow]:
    """Return one row per period of the first side, with the period that each side shows there."""
    query = sides[0].query
    places = [_places(side.table("trend")) for side in sides]
    rows = []
    for period in query.periods:
        shown = [_shown_period(side, query, period, options) for side in sides]
        at = tuple(by_period.get(one) for by_period, one in zip(places, shown, strict=True))
        rows.append(JoinedRow(period.dashed, period.dashed, at, tuple(shown)))
    return rows


def _places(table: Table | None) -> dict[Value, int]:
    return {} if table is None else {value: row for row, value in enumerate(table.values("timest"))}


def _shown_period(side: Side, query: DataQuery, period: Period, options: Options) -> str:
    if not side.is_compared or options.compare is None:
        return period.dashed
    other = compared_period(period, query, options.compare)
    return other.dashed if other else ""


def _labelled(rows: Sequence[JoinedRow]) -> list[JoinedRow]:
    """Return the rows with short labels; equal ones keep the names of their parents."""
    counts = Counter(own_part(row.name) for row in rows)
    return [
        JoinedRow(row.name, _label(own if counts[own] == 1 else row.name), row.rows)
        for row, own in ((row, own_part(row.name)) for row in rows)
    ]


def _label(text: str) -> str:
    return text if len(text) <= _MAX_LABEL else f"{text[: _MAX_LABEL - 1]}…"
