"""The files of the formats with types, read back; and the memory that writing them takes."""

from __future__ import annotations

import io
import json
import sys
import tracemalloc
from datetime import UTC, datetime
from typing import Any

import openpyxl
import pytest
from rest_framework.test import APIClient

from apps.core.periods import parse_period
from apps.core.storage.mongo import utc_now
from apps.mengla.choices import Action
from apps.mengla.export import records
from apps.mengla.export.query import ExportFormat, ExportQuery
from apps.mengla.export.table import ExportTable
from apps.mengla.export.writers import write_export
from tests.mengla.export.support import EXPORT, content_of, put, put_rankings

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.mongo,
    pytest.mark.redis,
    pytest.mark.usefixtures("sample_tree"),
]
NOON = datetime(2026, 1, 2, 12, 30, 15, 250_000)
ROWS = [
    {"catNameCn": "锅", "monthSales": 5, "monthGmv": 1.5, "saleRatio": 12.34, "catId1": 17, "novel": [1]},
    {"catName": "=1+1", "monthSales": "many", "monthGmv": 2**60, "rank": 7.0, "brand": True},
]


@pytest.fixture
def stored(db: None) -> None:
    put(Action.HOT, "1001", "202501", {"list": ROWS}, collected_at=NOON)
    put(Action.HOT, "1001", "202502", None)


def file_of(client: APIClient, form: str) -> bytes:
    given = {"action": "hot", "catIds": "1001", "from": "2025-01", "to": "2025-04", "format": form}
    return content_of(client.get(EXPORT, given))


@pytest.mark.usefixtures("stored")
def test_a_workbook_has_the_rows_what_is_missing_and_facts(reader: APIClient) -> None:
    book = openpyxl.load_workbook(io.BytesIO(file_of(reader, "xlsx")))
    assert book.sheetnames == ["hot", "Missing", "About"]
    titles, first, second = book["hot"].iter_rows()
    cells = {title.value: cell for title, cell in zip(titles, first, strict=True)}
    assert [title.value for title in titles][:6] == [
        *("catId", "category", "period", "provisional", "collected_at", "rank")
    ]
    assert (cells["catId"].value, cells["category"].value) == ("1001", "类目1001")
    assert cells["monthSales"].value == 5
    assert cells["catId1"].value == "17"
    assert cells["collected_at"].value == NOON and cells["collected_at"].is_date
    assert (cells["saleRatio"].value, cells["saleRatio"].number_format) == (0.1234, "0.00%")
    assert json.loads(cells["more"].value) == {"novel": [1]}
    assert [cell.value for cell in second if cell.value == "=1+1" and cell.data_type == "s"] == ["=1+1"]
    assert [[cell.value for cell in row] for row in book["Missing"].iter_rows()] == [
        ["Category id", "From", "To", "State"],
        ["1001", "2025-03", "2025-04", "Missing"],
        ["1001", "2025-02", "2025-02", "Empty"],
    ]
    facts = {row[0].value: row[1].value for row in book["About"].iter_rows()}
    assert (facts["Data set"], facts["Rows"], facts["Missing"]) == ("Best sellers", 2, 2)


def test_a_workbook_tells_of_texts_that_no_cell_can_hold(reader: APIClient) -> None:
    put(Action.HOT, "1001", "202501", {"list": [{"catName": "x" * 40_000}]})
    book = openpyxl.load_workbook(io.BytesIO(file_of(reader, "xlsx")))
    facts = {row[0].value: row[1].value for row in book["About"].iter_rows()}
    assert facts["Cut texts"].startswith("1, to the 32767 characters")


@pytest.mark.usefixtures("stored")
def test_parquet_has_types_and_what_does_not_fit_them_stands_in_more(reader: APIClient) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    file = parquet.ParquetFile(io.BytesIO(file_of(reader, "parquet")))
    found = file.read()
    types = {field.name: str(field.type) for field in found.schema}
    assert (types["rank"], types["monthSales"], types["catNameCn"]) == ("int64", "double", "string")
    assert (types["provisional"], types["collected_at"]) == ("bool", "timestamp[ms, tz=UTC]")
    first, second = found.to_pylist()
    assert (first["monthSales"], first["monthGmv"], first["catId1"]) == (5.0, 1.5, "17")
    assert first["collected_at"] == NOON.replace(tzinfo=UTC)
    assert json.loads(first["more"]) == {"novel": [1]}
    assert (second["rank"], second["catName"], second["monthSales"]) == (7, "=1+1", None)
    assert json.loads(second["more"]) == {"monthSales": "many", "monthGmv": 2**60, "brand": True}
    summary = json.loads(file.metadata.metadata[b"mengla"])
    assert summary["missing"] == [{"catId": "1001", "periods": ["2025-03..2025-04"]}]
    assert (summary["rows"], summary["records"]) == (2, 2)


def test_parquet_needs_its_package(reader: APIClient, monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    given = {"action": "hot", "from": "2025-01", "to": "2025-01", "format": "parquet"}
    response = reader.get(EXPORT, given)
    assert response.status_code == 400
    assert response.json()["fields"] == {
        "format": ["Parquet needs the package pyarrow: pip install --require-hashes -r locked/parquet.txt"]
    }


# --- Memory -----------------------------------------------------------------------------------------


class Sink(io.RawIOBase):
    """Takes what is written and keeps nothing."""

    def __init__(self) -> None:
        self.count = self.largest = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        size = len(bytes(data))
        self.count += size
        self.largest = max(self.largest, size)
        return size


def peak_of(form: ExportFormat, end: str) -> tuple[int, int]:
    """Write the days from 2025-01-01 on; returns the rows and the peak of allocated bytes."""
    table = ExportTable(ExportQuery(Action.HOT, ("1001",), parse_period("20250101"), parse_period(end)))
    sink = Sink()
    tracemalloc.start()
    write_export(table, form, sink)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sink.largest < 2_000_000
    return table.summary.rows, peak


@pytest.mark.parametrize("form", [ExportFormat.NDJSON, ExportFormat.CSV, ExportFormat.XLSX])
def test_four_times_the_rows_take_the_same_memory(form: ExportFormat, monkeypatch: Any) -> None:
    monkeypatch.setattr(records, "WANTED_BYTES", 1 << 16)
    put_rankings(["1001"], "20250101", "20250209", rows=80, monthSales=12.5, monthGmv=3)
    peak_of(form, "20250101")  # what is loaded and remembered at the first time
    some, small = peak_of(form, "20250110")
    all_rows, large = peak_of(form, "20250209")
    assert (some, all_rows) == (800, 3200)
    assert large < small * 1.3


def test_records_are_read_by_their_size(monkeypatch: Any) -> None:
    monkeypatch.setattr(records, "WANTED_BYTES", 40_000)
    monkeypatch.setattr(records, "MAX_BYTES", 60_000)
    put_rankings(["1001"], "20250101", "20250120", rows=10)  # about 1 KB each
    put_rankings(["1002"], "20250101", "20250110", rows=300)  # about 20 KB each
    put_rankings(["2001"], "20250101", "20250101", rows=1500)  # more than is wanted at all
    sizes = []
    find = records._find

    def counted(*given: Any) -> Any:
        found, size = find(*given)
        sizes.append((len(given[0]), len(found), size))
        return found, size

    monkeypatch.setattr(records, "_find", counted)
    cat_ids = ("1001", "1002", "2001", "2002")
    query = ExportQuery(Action.HOT, cat_ids, parse_period("20250101"), parse_period("20250120"))
    wanted = [record_id for *_others, record_id in query.record_keys()]
    found = list(records.read_in_order(((one, one) for one in wanted), now=utc_now()))
    assert [one for one, _record in found] == wanted
    assert all(record is None or record["_id"] == one for one, record in found)
    assert sum(record is not None for _one, record in found) == 31
    assert max(size for *_counts, size in sizes) < 60_000 + 80_000
    assert max(size for asked, _found, size in sizes if asked > 1) < 60_000 + 80_000
    assert len(sizes) < 30  # and not one by one
