"""What the move leaves to the operator is listed, whatever the former program has stored."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import bson
import pytest
from bson.datetime_ms import DatetimeMS
from bson.raw_bson import RawBSONDocument

from apps.mengla.former import left_behind
from tests.mengla.commands.support import Ended, run
from tests.mengla.former.former_support import FormerDatabase, former_database

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]


@pytest.fixture
def database(db: None, settings: Any) -> Iterator[FormerDatabase]:
    with former_database(settings) as opened:
        yield opened


def move(*arguments: str) -> Ended:
    return run("import_reference_data", "--in-place", *arguments)


def test_odd_lists_of_tokens_are_told_and_the_move_ends(database: FormerDatabase) -> None:
    """Values that Python does not have, of every type and in every place that is read."""
    shown = {
        "date": (datetime(2026, 1, 2, 3, 4), "2026-01-02 03:04"),
        "late": (DatetimeMS(2**60), str(2**60)),
        "seconds": (1_700_000_000, "2023-11-14 22:13"),
        "fraction": (1_700_000_000.5, "2023-11-14 22:13"),
        "milliseconds": (1_700_000_000_000, "2023-11-14 22:13"),
        "huge": (2**62, str(2**62)),
        "nan": (float("nan"), "nan"),
        "text": ("2026-01-02\x1b", "2026-01-02\\x1b"),
        "none": (None, "never"),
        "bool": (True, "True"),
        "list": ([1], "[1]"),
    }
    tokens = [{"label": label, "expires_at": value} for label, (value, _) in shown.items()]
    odd = bson.encode({"label": "XX-odd", "expires_at": None}).replace(b"XX-odd", b"\xff\xfe-odd")
    database.api_tokens.insert_many([RawBSONDocument(odd), {"_id": DatetimeMS(2**60)}, *tokens])
    status = bson.encode({"status": "XXended"}).replace(b"XX", b"\xff\xfe")
    database.crawl_jobs.insert_many([RawBSONDocument(status), {"status": DatetimeMS(2**60)}])
    database.panel_config.insert_one({"_id": DatetimeMS(2**60), "modules": [], "layout": {}})
    planned = move("--dry-run", "--json")
    assert planned.code == 0
    ended = move("--json")
    assert (ended.code, ended.result["is_finished"]) == (0, True)
    listed = {one["label"]: one["expires_at"] for one in ended.result["tokens"]}
    expected = {label: text for label, (_, text) in shown.items()}
    assert listed == {"\ufffd\ufffd-odd": "never"} | expected
    assert planned.result["tokens"] == ended.result["tokens"]
    assert ended.result["panel_collections"] == ["panel_config"]
    assert sum(ended.result["open_jobs"]["crawl_jobs"].values()) == 2


@pytest.mark.parametrize("name", ["count_open_jobs", "list_panel_collections", "list_tokens"])
def test_what_cannot_be_read_does_not_keep_the_move_from_ending(
    database: FormerDatabase, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def fail() -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(left_behind, name, fail)
    for ended in (move("--dry-run"), move()):
        assert ended.code == 3
        assert ": not listed, because they cannot be read" in ended.out
        assert "(RuntimeError)" in ended.out
        assert "secret" not in ended.out
    assert "The data of the former program is carried over." in ended.out
    assert move("--json").result["is_finished"]


def test_nothing_is_said_to_be_kept_when_nothing_is(database: FormerDatabase) -> None:
    assert "Kept as they were: mengla_data_former. Delete" in move().out
    assert "Kept as they were: mengla_data_former. Delete" in move().out
    run("import_reference_data", "--drop-former", "--yes")
    for ended in (move("--dry-run"), move()):
        assert (ended.code, ended.out.count("\n")) == (0, 1)
        assert "was carried over at" in ended.out
