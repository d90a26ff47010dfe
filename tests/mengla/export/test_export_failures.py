"""Exports that find no place, no space or no database."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from rest_framework.test import APIClient

from apps.mengla.export import records, spool
from apps.mengla.export.spool import export_places
from tests.mengla.export.support import EXPORT, content_of, put_rankings
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
