"""The columns of an export and the rows of a record (pure): the same for all formats of a data set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy

from apps.mengla.choices import Action
from apps.mengla.monitoring.figure_tables import FIELDS, VIEWS, Fields, Kind, is_rows

_PERIOD_OF_POINT = "timest"  # the column "period" has it
_BRANDS = "brands"
_UNKNOWN = "figures"  # in "more": what has an unknown shape
Row = list[Any]
# Instants are in UTC with a Z, as in the other responses.
JSON_OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z


class ColumnType(StrEnum):
    """What the values of a column are, for formats with types."""

    TEXT = "text"
    WHOLE = "whole"  # a whole number
    NUMBER = "number"
    FLAG = "flag"
    INSTANT = "instant"
    OBJECT = "object"


@dataclass(frozen=True, slots=True)
class ExportColumn:
    """One column; ``key`` is its name in every format and language, ``title`` is for people."""

    key: str
    title: str | Promise
    kind: Kind
    type: ColumnType


_TEXT, _LINE, _FLAG = Kind.TEXT, Kind.LINE, ColumnType.FLAG
BASE = (
    ExportColumn("catId", gettext_lazy("Category id"), _LINE, ColumnType.TEXT),
    ExportColumn("category", gettext_lazy("Category"), _TEXT, ColumnType.TEXT),
    ExportColumn("period", gettext_lazy("Period"), _LINE, ColumnType.TEXT),
    ExportColumn("provisional", gettext_lazy("Provisional"), _LINE, _FLAG),
    ExportColumn("collected_at", gettext_lazy("Collected, UTC"), _LINE, ColumnType.INSTANT),
)
_VIEW = ExportColumn("view", gettext_lazy("View"), _LINE, ColumnType.TEXT)
_MORE = ExportColumn("more", gettext_lazy("Further fields"), _TEXT, ColumnType.OBJECT)


def columns_of(action: Action) -> tuple[ExportColumn, ...]:
    """Return the columns of a data set: those of every record, those of its figures, then ``more``."""
    if action == Action.INDUSTRY_TREND:
        return (*BASE, *_figures("trend"), _MORE)
    if action == Action.INDUSTRY_VIEW:
        return (*BASE, _VIEW, *_figures("ranges"), *_figures(_BRANDS), _MORE)
    return (*BASE, *_figures("ranking"), _MORE)


def rows_of(action: Action, data: Any) -> Iterator[Row]:
    """Yield the rows of a record's figures: the values of the columns behind :data:`BASE`, in their order.

    Figures of an unknown shape are one row, which has them in ``more``.
    """
    if action == Action.INDUSTRY_TREND:
        if isinstance(data, Mapping):
            yield _POINT.row(data)
            return
    elif isinstance(data, Mapping):
        lists = list(VIEWS) if action == Action.INDUSTRY_VIEW else ["list"]
        if any(is_rows(data.get(name)) for name in lists):
            for name in lists:
                if data.get(name):
                    yield from _rows_of_list(action, name, data[name])
            return
    yield [*[None] * (len(columns_of(action)) - len(BASE) - 1), {_UNKNOWN: data}]


def json_text(value: Any) -> str:
    """Return an instant as text, and an object or a list as JSON."""
    text = orjson.dumps(value, str, JSON_OPTIONS).decode()
    return text[1:-1] if text.startswith('"') else text


def _rows_of_list(action: Action, name: str, values: Any) -> Iterator[Row]:
    """Yield the rows of one list; one that is no list of rows is a row with all of it in ``more``."""
    rows: list[Mapping[str, Any]] = values if is_rows(values) else [{_UNKNOWN: values}]
    if action == Action.INDUSTRY_VIEW:
        view = VIEWS[name][0]
        form = _BRAND if view == _BRANDS else _RANGE
        for row in rows:
            yield [view, *form.row(row)]
        return
    for rank, row in enumerate(rows, start=1):
        ranked = _RANKED.row(row)
        ranked[0] = rank if ranked[0] is None else ranked[0]  # the place in the list
        yield ranked


class _Form:
    """Where the known fields of a row stand; unknown ones go into an object at the end, None without any."""

    def __init__(self, fields: str, *, before: int = 0, behind: int = 0) -> None:
        self._fields = tuple(_shown(fields))
        self._known = frozenset(FIELDS[fields])
        self._before: Row = [None] * before
        self._behind: Row = [None] * behind

    def row(self, fields: Mapping[str, Any]) -> Row:
        """Return the values of a row."""
        get = fields.get
        known = self._known
        more = None if fields.keys() <= known else {key: fields[key] for key in fields if key not in known}
        return [*self._before, *[get(name) for name in self._fields], *self._behind, more]


def _figures(fields: str) -> tuple[ExportColumn, ...]:
    return tuple(
        ExportColumn(_key(fields, name), title, kind, _type(name, kind))
        for name, (title, kind) in _shown(fields).items()
    )


def _shown(fields: str) -> Fields:
    """Return the fields that are columns; a point's own period is not, because its record has it."""
    return {
        name: one for name, one in FIELDS[fields].items() if (fields, name) != ("trend", _PERIOD_OF_POINT)
    }


def _key(fields: str, name: str) -> str:
    return "brandCatId" if (fields, name) == (_BRANDS, "catId") else name


def _type(name: str, kind: Kind) -> ColumnType:
    if name == "rank":
        return ColumnType.WHOLE
    return ColumnType.TEXT if kind in (Kind.TEXT, Kind.LINE) else ColumnType.NUMBER


_RANKED, _POINT = _Form("ranking"), _Form("trend")
_RANGE = _Form("ranges", behind=len(FIELDS[_BRANDS]))
_BRAND = _Form(_BRANDS, before=len(FIELDS["ranges"]))
