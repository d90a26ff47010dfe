"""The figures of a record as tables for people, and as folded JSON."""

from __future__ import annotations

import json
from typing import Any

from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from apps.categories.models import own_part
from apps.core.periods import Granularity, parse_period
from apps.mengla.choices import Action
from apps.mengla.models import Record
from apps.mengla.monitoring.figure_tables import Column, Table, Value, tables_of, with_names
from apps.mengla.queries.data_query import DataQuery

_MAX_ROWS = 200
_MAX_COLUMNS = 40
_NAMES = ("catNameCn", "catName")


def figures_of(record: Record) -> SafeString:
    """Return the tables of the figures and their folded JSON."""
    clipped = [table.clipped(rows=_MAX_ROWS, columns=_MAX_COLUMNS) for table in record_tables(record)]
    shown = [{"table": table, "rows": _rows(table)} for table in with_names(clipped)]
    text = json.dumps(record.data, ensure_ascii=False, indent=2)
    return render_to_string("mengla/figures.html", {"tables": shown, "text": text})


def record_tables(record: Record) -> list[Table]:
    """Return the figures of one record as tables; a point of a trend is shown as a trend of one period."""
    period = parse_period(record.period_key, Granularity(record.granularity))
    query = DataQuery(Action(record.action), record.cat_id, period, period)
    is_point = query.is_trend and isinstance(record.data, dict)
    return tables_of(query, [record.data] if is_point else record.data)


def _rows(table: Table) -> list[list[dict[str, Any]]]:
    """Return the cells of each row; names are short, with the full name as a title."""
    return [[_cell(column, value) for column, value in row] for row in table.described_rows]


def _cell(column: Column, value: Value) -> dict[str, Any]:
    text = column.text_of(value)
    own = own_part(text) if column.key in _NAMES else text
    return {"text": own, "title": text if own != text else "", "is_number": column.is_number}
