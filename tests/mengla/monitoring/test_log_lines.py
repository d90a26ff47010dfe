"""The log lines of a collection on its page: bounded reading of whatever the file holds."""

from __future__ import annotations

import html
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from apps.mengla.monitoring import log_lines
from tests.mengla.support import begin_attempt, hot

ID, OTHER = "a" * 24, "b" * 24


def line(collection_id: str, **fields: Any) -> str:
    return json.dumps({"event": "collection_sent", "collection_id": collection_id, "level": "info", **fields})


@pytest.fixture
def log(tmp_path: Path, settings: Any) -> Path:
    settings.LOG_FILE = str(tmp_path / "collector.log")
    return tmp_path / "collector.log"


def test_the_lines_of_one_collection_in_their_order(log: Path) -> None:
    log.write_text("\n".join([line(ID, attempt=1), line(OTHER), f"text {ID}", line(ID, attempt=2)]) + "\n")
    found = log_lines.find_lines(ID)
    assert found is not None
    assert [one.details for one in found.lines] == ["attempt=1", f"text {ID}", "attempt=2"]
    assert [one.event for one in found.lines] == ["collection_sent", "", "collection_sent"]
    assert found.is_whole


def test_only_the_end_of_a_large_log_is_read(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_lines, "_MAX_BYTES", 300_000)
    log.write_text(f"{line(ID, attempt=1)}\n" + f"{line(OTHER)}\n" * 20_000 + f"{line(ID, attempt=2)}\n")
    found = log_lines.find_lines(ID)
    assert found is not None
    assert [one.details for one in found.lines] == ["attempt=2"]
    assert not found.is_whole


def test_the_newest_lines_are_shown(log: Path) -> None:
    log.write_text("".join(f"{line(ID, attempt=number)}\n" for number in range(500)))
    found = log_lines.find_lines(ID)
    assert found is not None
    assert [one.details for one in found.lines] == [f"attempt={number}" for number in range(400, 500)]


@pytest.mark.parametrize(
    "content", [b"", b"\n\n", b"\xff\x00" + ID.encode(), b"[1]\n" + ID.encode() * 100_000]
)
def test_any_content_is_read(log: Path, content: bytes) -> None:
    log.write_bytes(content)
    found = log_lines.find_lines(ID)
    assert found is not None
    assert all(len(one.details) <= 500 and "\x00" not in one.details for one in found.lines)


def test_what_is_no_readable_file_blocks_nothing(log: Path, settings: Any) -> None:
    assert log_lines.find_lines(ID) is None
    os.mkfifo(log)
    began = time.monotonic()
    assert log_lines.find_lines(ID) is None
    assert time.monotonic() - began < 1
    settings.LOG_FILE = str(log.parent)
    assert log_lines.find_lines(ID) is None


@pytest.mark.django_db
@pytest.mark.mongo
@pytest.mark.redis
@pytest.mark.usefixtures("sample_tree")
def test_the_page_of_a_collection_has_its_lines_or_the_command(
    site: Client, log: Path, settings: Any
) -> None:
    collection_id = str(begin_attempt(hot())["_id"])
    log.write_text(f"{line(collection_id, execution_id='<i>E-1')}\n")

    def page() -> str:
        response = site.get(f"/admin/mengla/collection/{collection_id}/change/")
        return html.unescape(response.content.decode())

    assert "execution_id=<i>E-1" in page()
    assert f"grep -h {collection_id} {log}" in page()
    settings.LOG_FILE = ""
    assert f"--grep {collection_id}" in page()
