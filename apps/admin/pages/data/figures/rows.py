"""The rows of several tables side by side: which of them are about the same thing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from apps.admin.pages.data.figures.options import Options, compared_period
from apps.admin.pages.data.figures.sides import Side
from apps.categories.selectors import own_part
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
        return _labelled(_matched([_things(table) for table in tables], (_ids, _ids_and_name, _name)))
    return _labelled(_matched([_ranges(table) for table in tables], (_name, _name_and_place)))


def full_names(table: Table) -> list[str]:
    """Return the names of the rows: the Chinese name, else the Russian one."""
    pairs = zip(table.values("catNameCn"), table.values("catName"), strict=True)
    return [next((str(name) for name in pair if name not in (None, "")), _UNNAMED) for pair in pairs]


def level_ids(table: Table) -> list[tuple[str, ...]]:
    """Return the ids of the categories of each row, level 1 first, without those that are empty."""
    keys = _LEVELS if table.name == "ranking" else ("catId",)
    columns = [[id_text(value) for value in table.values(key)] for key in keys]
    return [tuple(filter(None, ids)) for ids in zip(*columns, strict=True)]


def id_text(value: Value) -> str:
    """Return a category id, which the service sends as text or as a number; "" for none."""
    if isinstance(value, bool) or value is None:
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < _WHOLE_FLOAT_LIMIT:
        value = int(value)
    text = str(value).strip()
    return "" if text in _NO_IDS else text


# --- Matching -------------------------------------------------------------------------------------


class _Thing(NamedTuple):
    """What a row is about, and its place in its table."""

    ids: tuple[str, ...]
    name: str
    place: int


Identify = Callable[[_Thing], Hashable]


def _things(table: Table | None) -> list[_Thing]:
    if table is None:
        return []
    rows = zip(level_ids(table), full_names(table), strict=True)
    return [_Thing(ids, name, place) for place, (ids, name) in enumerate(rows)]


def _ranges(table: Table | None) -> list[_Thing]:
    titles = table.values("title") if table else []
    return [_Thing((), _UNNAMED if one is None else str(one), place) for place, one in enumerate(titles)]


def _matched(sides: Sequence[Sequence[_Thing]], identities: Sequence[Identify]) -> list[JoinedRow]:
    """Match the rows of each side with those found before, by the first identity that is unique in both."""
    found: list[list[int | None]] = []
    first: list[_Thing] = []  # the one that stands for each of the found ones
    for side, things in enumerate(sides):
        free = {thing.place: thing for thing in things}
        known = dict(enumerate(first))
        for identify in identities if known else ():
            mine, theirs = _unique(free, identify), _unique(known, identify)
            for identity in mine.keys() & theirs.keys():
                place, at = mine[identity], theirs[identity]
                if _may_be_same(free[place], known[at]):
                    found[at][side] = place
                    del free[place], known[at]
        for thing in free.values():
            found.append([thing.place if at == side else None for at in range(len(sides))])
            first.append(thing)
    return [JoinedRow(one.name, one.name, tuple(rows)) for rows, one in zip(found, first, strict=True)]


def _unique(things: Mapping[int, _Thing], identify: Identify) -> dict[Hashable, int]:
    """Return the places of the things by an identity that no other of them has; None is no identity."""
    identities = {place: identify(thing) for place, thing in things.items()}
    counts = Counter(identities.values())
    return {one: place for place, one in identities.items() if one is not None and counts[one] == 1}


def _may_be_same(one: _Thing, other: _Thing) -> bool:
    """Whether the ids of two rows with the same name do not contradict each other."""
    return one.ids == other.ids or not one.ids or not other.ids


def _ids(thing: _Thing) -> Hashable:
    return thing.ids or None


def _name(thing: _Thing) -> Hashable:
    return None if thing.name == _UNNAMED else thing.name


def _ids_and_name(thing: _Thing) -> Hashable:
    return (thing.ids, thing.name) if thing.ids and thing.name != _UNNAMED else None


def _name_and_place(thing: _Thing) -> Hashable:
    return (thing.name, thing.place)


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


def short_names(names: Sequence[str]) -> list[str]:
    """Return names without those of their parents; equal ones keep them."""
    owns = [own_part(name) for name in names]
    counts = Counter(owns)
    return [own if counts[own] == 1 else name for own, name in zip(owns, names, strict=True)]


def _labelled(rows: Sequence[JoinedRow]) -> list[JoinedRow]:
    """Return the rows with short labels."""
    labels = short_names([row.name for row in rows])
    return [JoinedRow(row.name, _label(label), row.rows) for row, label in zip(rows, labels, strict=True)]


def _label(text: str) -> str:
    return text if len(text) <= _MAX_LABEL else f"{text[: _MAX_LABEL - 1]}…"
