"""The cells of a table on the page: names lead down to their category, brands can be chosen."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from apps.admin.pages.data.addresses import address_of, parameters_of
from apps.admin.pages.data.figures.rows import RANKED, full_names, id_text, level_ids, short_names
from apps.categories.selectors import NamedCategory, find_by_names, named_categories, own_part, with_id
from apps.mengla.monitoring.figure_tables import Column, Table, Value
from apps.mengla.queries.data_query import DataQuery

_NAMES = ("catNameCn", "catName")
_IDS = ("catId", "catId1", "catId2", "catId3")


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of the page: its text, the full text as a title, where it leads, and the choice it offers."""

    text: str
    title: str = ""
    href: str = ""
    choice: str = ""  # the value of a checkbox before the text
    is_chosen: bool = False


@dataclass(frozen=True, slots=True)
class LinkedTable:
    """A table of the page, whose cells are values or :class:`Cell`."""

    table: Table
    described_rows: Sequence[Sequence[tuple[Column, Value | Cell]]]

    @property
    def name(self) -> str:
        """The name of the table."""
        return self.table.name

    @property
    def title(self) -> str:
        """The title of the table."""
        return self.table.title

    @property
    def columns(self) -> Sequence[Column]:
        """The columns of the table."""
        return self.table.columns

    @property
    def hidden_rows(self) -> int:
        """How many rows the page leaves out."""
        return self.table.hidden_rows

    @property
    def hidden_columns(self) -> int:
        """How many columns the page leaves out."""
        return self.table.hidden_columns


def linked(
    table: Table, query: DataQuery, *, rows: int, columns: int, chosen: Collection[str] | None = None
) -> LinkedTable | Table:
    """Return the first rows and columns; those of a ranking or of brands with links to their categories.

    A row leads to the category that its last id or its name names, with the same data set and periods.
    ``chosen`` are the names of the brands that are chosen already; None where none can be chosen.
    """
    shown = table.clipped(rows=rows, columns=columns)
    if table.name not in RANKED:
        return shown
    table = table.clipped(rows=rows, columns=len(table.columns))  # its ids may be in hidden columns
    ids, names = level_ids(table), full_names(table)
    known = named_categories({one for row in ids for one in row})
    by_name = find_by_names({name for name, row in zip(names, ids, strict=True) if not known.get(_last(row))})
    cells_of_rows = []
    for at, values in enumerate(shown.rows):
        category = known.get(_last(ids[at])) or by_name.get(names[at])
        choice = names[at] if table.name == "brands" and chosen is not None else ""
        named = Cell("", "", _address(category, query), choice, choice in (chosen or ()))
        cells = _with_name(shown.columns, values, named)
        cells_of_rows.append(
            [
                (column, _id_cell(value, known, query) if column.key in _IDS else cell)
                for column, value, cell in zip(shown.columns, values, cells, strict=True)
            ]
        )
    return LinkedTable(shown, cells_of_rows)


def with_short_names(table: Table) -> LinkedTable | Table:
    """Return a table whose first column has names with short ones."""
    names = short_names([name if isinstance(name, str) else "" for name in table.values("name")])
    rows: list[list[tuple[Column, Value | Cell]]] = []
    for name, values in zip(names, table.rows, strict=True):
        row: list[tuple[Column, Value | Cell]] = list(zip(table.columns, values, strict=True))
        if name and name != values[0]:
            row[0] = (table.columns[0], Cell(name, title=table.columns[0].text_of(values[0])))
        rows.append(row)
    return LinkedTable(table, rows)


def _with_name(columns: Sequence[Column], values: Sequence[Value], named: Cell) -> list[Value | Cell]:
    """Return the cells of a row with short names; the first of them leads where ``named`` does."""
    cells: list[Value | Cell] = []
    for column, value in zip(columns, values, strict=True):
        if column.key not in _NAMES or not isinstance(value, str) or not value:
            cells.append(value)
            continue
        own = own_part(value)
        title = column.text_of(value) if own != value else ""
        is_first = not any(isinstance(cell, Cell) for cell in cells)
        cell = named if is_first else Cell("")
        cells.append(replace(cell, text=column.text_of(own), title=title))
    return cells


def _id_cell(value: Value, known: Mapping[str, NamedCategory], query: DataQuery) -> Value | Cell:
    category = known.get(id_text(value))
    if category is None:
        return value
    return Cell(with_id(category.own_name, category.cat_id), category.name, _address(category, query))


def _address(category: NamedCategory | None, query: DataQuery) -> str:
    """Return the address of a category's figures; "" for none and for the category that is shown."""
    if category is None or category.cat_id == query.cat_id:
        return ""
    return address_of("admin:collector_data", parameters_of(query) | {"category": category.cat_id})


def _last(ids: Sequence[str]) -> str:
    return ids[-1] if ids else ""
