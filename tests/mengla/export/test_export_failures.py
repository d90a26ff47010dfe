"""Exports that find no place, no space or no database."""

from __future__ import annotations

import io
import math
import tempfile
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook
from pyarrow import parquet
from rest_framework.test import APIClient

from apps.core.storage.mongo import collection_of
from apps.mengla.export import records, spool
from apps.mengla.export.spool import export_places
from apps.mengla.models import Record
from tests.mengla.export.support import EXPORT, content_of, csv_rows_of, put_rankings, rows_of
from tests.silence import no_mongo

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.mongo,
    pytest.mark.redis,
    pytest.mark.usefixtures("sample_tree"),
]
HOT = {"action": "hot", "from": "2025-01", "to": "2025-03"}
FULL_DISK = Path("/dev/full")


def test_exports_have_a_quarter_of_the_threads(reader: APIClient, settings: Any) -> None:
    settings.WEB_THREADS = 8
    put_rankings(["1001"], "202501", "202501", rows=1)
    first, second = reader.get(EXPORT, HOT), reader.get(EXPORT, HOT)
    third = reader.get(EXPORT, HOT)
    assert (third.status_code, third.json()["error"]) == (429, "RATE_LIMITED")
    assert int(third.headers["Retry-After"]) > 0
    content_of(first)
    content_of(reader.get(EXPORT, HOT))  # its place is free again
    second.close()  # as when the client has gone
    with export_places().claim() as one, export_places().claim() as other:
        assert one and other


def test_a_refused_export_takes_no_place(reader: APIClient, settings: Any, monkeypatch: Any) -> None:
    settings.WEB_THREADS = 4

    def fail(*_args: Any, **_options: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(spool, "write_export", fail)
        for _ in range(3):
            response = reader.get(EXPORT, HOT)
            assert (response.status_code, response.json()["error"]) == (503, "DEPENDENCY_UNAVAILABLE")
    content_of(reader.get(EXPORT, HOT))


@pytest.mark.skipif(not FULL_DISK.exists(), reason="needs the device of a full disk")
@pytest.mark.parametrize("form", ["ndjson", "csv", "xlsx", "parquet"])
@pytest.mark.parametrize("rows", [1, 3000])  # what is in the buffer of the file, and more
def test_a_full_disk_is_told_before_anything_is_sent(
    reader: APIClient, monkeypatch: Any, form: str, rows: int
) -> None:
    put_rankings(["1001"], "202501", "202501", rows=rows)
    monkeypatch.setattr(spool, "_IN_MEMORY_BYTES", 1)
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_options: FULL_DISK.open("w+b"))
    response = reader.get(EXPORT, HOT | {"format": form})
    assert (response.status_code, response.json()["error"]) == (503, "DEPENDENCY_UNAVAILABLE")
    assert response.json()["detail"] == "disk"


def test_an_outage_while_the_records_are_read_is_an_error_and_no_file(
    reader: APIClient, monkeypatch: Any
) -> None:
    put_rankings(["1001"], "20250101", "20250120", rows=2)
    find = records._find
    asked = []

    def find_once(*given: Any) -> Any:
        asked.append(given)
        if len(asked) > 1:
            raise no_mongo()
        return find(*given)

    monkeypatch.setattr(records, "_find", find_once)
    response = reader.get(EXPORT, {"action": "hot", "catIds": "1001", "from": "20250101", "to": "20250120"})
    assert (response.status_code, response.json()["error"]) == (503, "DEPENDENCY_UNAVAILABLE")
    assert len(asked) == 2


@pytest.mark.parametrize("name", ["collected_at", "fresh_until", "data", "is_empty", "period_key"])
def test_a_damaged_record_is_missing_and_named(reader: APIClient, written_log: Any, name: str) -> None:
    put_rankings(["1001"], "202501", "202502", rows=1)
    record_id = "hot:1001:month:202501"
    collection_of(Record).update_one({"_id": record_id}, {"$unset": {name: 1}})
    rows, last = rows_of(reader, **HOT, catIds="1001")
    assert [row["period"] for row in rows] == ["2025-02"]
    assert last["missing"] == [{"catId": "1001", "periods": ["2025-01", "2025-03"]}]
    (line,) = [one for one in written_log() if one["event"] == "record_damaged"]
    assert line["record_id"] == record_id
    # Who asks for it alone has it collected again.
    answer = reader.get("/api/mengla", {"action": "hot", "primaryCatId": "1001", "timest": "2025-01"})
    assert answer.status_code == 202


@pytest.mark.parametrize("value", [math.nan, -math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_null_in_every_format(reader: APIClient, value: float) -> None:
    put_rankings(["1001"], "202501", "202501", rows=1, monthSales=value, monthGmv=5.5, unknown=[value])
    asked = {**HOT, "catIds": "1001"}
    (row,), _last = rows_of(reader, **asked)
    assert (row["monthSales"], row["monthGmv"], row["more"]) == (None, 5.5, {"unknown": [None]})
    (line,) = csv_rows_of(content_of(reader.get(EXPORT, asked | {"format": "csv"})))
    assert (line["monthSales"], line["monthGmv"]) == ("", "5.5")
    sheet = load_workbook(io.BytesIO(content_of(reader.get(EXPORT, asked | {"format": "xlsx"})))).worksheets[
        0
    ]
    titles, cells = ([cell.value for cell in row] for row in sheet.iter_rows())
    assert cells[titles.index("monthSales")] is None
    table = parquet.read_table(io.BytesIO(content_of(reader.get(EXPORT, asked | {"format": "parquet"}))))
    assert table["monthSales"].to_pylist() == [None]
