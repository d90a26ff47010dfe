"""Writes an export as Parquet, with typed columns; imported only where pyarrow is wanted."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from itertools import islice
from typing import IO, Any

import pyarrow
from pyarrow import parquet

from apps.core.api.envelope import dump_json
from apps.mengla.export.columns import ColumnType, Row, json_text
from apps.mengla.export.table import ExportTable

SUMMARY_KEY = "mengla"  # of the file's metadata: what stands at the end of an NDJSON file
ROWS_OF_GROUP = 50_000
_ROWS_AT_ONCE = 2_000
_MAX_EXACT = 2**53
_TYPES: dict[ColumnType, pyarrow.DataType] = {
    ColumnType.TEXT: pyarrow.string(),
    ColumnType.WHOLE: pyarrow.int64(),
    ColumnType.NUMBER: pyarrow.float64(),
    ColumnType.FLAG: pyarrow.bool_(),
    ColumnType.INSTANT: pyarrow.timestamp("ms", tz="UTC"),
    ColumnType.OBJECT: pyarrow.string(),
}


class _Unfit(Exception):
    """A value that its column cannot hold exactly."""


def write_parquet(table: ExportTable, sink: IO[bytes]) -> None:
    """Write the rows in groups, and the summary into the metadata.

    A value that the type of its column cannot hold exactly, such as a text among numbers, stands in ``more``.
    """
    schema = pyarrow.schema([(column.key, _TYPES[column.type]) for column in table.columns])
    rows = table.rows()
    with parquet.ParquetWriter(sink, schema, compression="zstd") as writer:
        batches: list[pyarrow.RecordBatch] = []
        while some := list(islice(rows, _ROWS_AT_ONCE)):
            batches.append(_batch(table, some, schema))
            if sum(batch.num_rows for batch in batches) >= ROWS_OF_GROUP:
                writer.write_table(pyarrow.Table.from_batches(batches, schema))
                batches = []
        if batches:
            writer.write_table(pyarrow.Table.from_batches(batches, schema))
        writer.add_key_value_metadata({SUMMARY_KEY: dump_json(table.summary.to_json()).decode()})


def _batch(table: ExportTable, rows: list[Row], schema: pyarrow.Schema) -> pyarrow.RecordBatch:
    values = list(map(list, zip(*rows, strict=True)))
    unfit: dict[int, dict[str, Any]] = {}
    for column, own in zip(table.columns[:-1], values, strict=False):
        fit = _FITTING.get(column.type)
        if fit is None or not _needs_look(own, column.type):
            continue
        for number, value in enumerate(own):
            if value is None:
                continue
            try:
                own[number] = fit(value)
            except _Unfit:
                own[number] = None
                unfit.setdefault(number, {})[column.key] = value
    more = values[-1]
    for number, fields in unfit.items():
        more[number] = {**(more[number] or {}), **fields}
    values[-1] = [None if one is None else json_text(one) for one in more]
    return pyarrow.record_batch(
        [pyarrow.array(own, field.type) for own, field in zip(values, schema, strict=True)], schema=schema
    )


def _needs_look(values: Iterable[Any], kind: ColumnType) -> bool:
    """Whether some values may not be of the column's own type: most batches need no look at each of them."""
    return not set(map(type, values)) <= _OWN_TYPES[kind]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json_text(value)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _Unfit
    if isinstance(value, int) and abs(value) > _MAX_EXACT:
        raise _Unfit
    return float(value)


def _whole(value: Any) -> int:
    if isinstance(value, float) and math.isfinite(value) and value.is_integer():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise _Unfit
    return value


_FITTING: dict[ColumnType, Callable[[Any], Any]] = {
    ColumnType.TEXT: _text,
    ColumnType.NUMBER: _number,
    ColumnType.WHOLE: _whole,
}
_OWN_TYPES: dict[ColumnType, set[type]] = {
    ColumnType.TEXT: {str, type(None)},
    ColumnType.NUMBER: {float, type(None)},
    ColumnType.WHOLE: {int, type(None)},
}
