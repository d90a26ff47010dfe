from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import bson
import pytest
from bson import ObjectId
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from django.conf import settings
from django.core.management import call_command

from apps.core.errors import Conflict, DependencyUnavailable, InvalidInput
from apps.core.storage.mongo import collection_of, named_collection, utc_now
from apps.mengla.former import reference_import
from apps.mengla.former.reference_import import ImportResult, import_reference_data
from apps.mengla.former.reference_source import ReferenceSource, open_source
from apps.mengla.models import Record
from tests.mengla.former.reference_support import Documents, make, reference_source, stored

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]


@pytest.fixture
def source(db: None) -> Iterator[Documents]:
    """The collection of the reference program, empty."""
    with reference_source() as documents:
        yield documents


def do_import(source: Documents, **options: Any) -> ImportResult:
    with open_source(uri=settings.MONGO_URI, database=source.database.name, collection=source.name) as opened:
        return import_reference_data(opened, **options)


def run(source: Documents, *arguments: str, code: int = 0) -> dict[str, Any]:
    """Run the command with --json, check how it exits and return what it printed."""
    out = io.StringIO()
    names = ["--database", source.database.name, "--collection", source.name]
    arguments = ("--uri", settings.MONGO_URI, *names, "--json", *arguments)
    try:
        call_command("import_reference_data", *arguments, stdout=out, stderr=io.StringIO())
    except SystemExit as ended:
        assert ended.code == code
    else:
        assert code == 0
    result: dict[str, Any] = json.loads(out.getvalue())
    return result


def test_everything_is_copied_and_counted(source: Documents) -> None:
    points = [{"timest": f"2025-0{month}", "monthSales": month} for month in (4, 5, 6)]
    source.insert_many(
        [
            make(0),
            make(1, action="industryTrendRange", data=points),
            make(2, data=None),
            make(3, timest="June"),
            make(4, catId="?"),
        ]
    )
    result = run(source, code=3)
    assert result | {"unreadable_documents": ...} == {
        "read": 5,
        "imported": 2,
        "kept": 0,
        "skipped": {"empty answer": 1},
        "unreadable": {"unreadable period": 1, "unreadable category": 1},
        "unreadable_documents": ...,
        "records": 4,
        "lost": 0,
        "source_count": 5,
        "is_verified": True,
        "was_resumed": False,
        "is_dry_run": False,
    }
    assert [one["reason"] for one in result["unreadable_documents"]] == [
        "unreadable period: 'June'",
        "unreadable category: '?'",
    ]
    assert stored() == {
        "high:1000:month:202506": {"list": [{"monthSales": 0}]},
        **{f"industryTrendRange:1001:month:2025{p['timest'][-2:]}": p for p in points},
    }


def test_imported_figures_are_served(
    source: Documents, reader: Any, sample_tree: Any, half_a_second_later: Callable[[], None]
) -> None:
    source.insert_one(make(0))
    reader.get("/api/mengla/?action=high&primaryCatId=1000&timest=2025-06")  # a miss, which may be cached
    run(source)
    half_a_second_later()
    answer = reader.get("/api/mengla/?action=high&primaryCatId=1000&timest=2025-06")
    assert answer.status_code == 200
    assert answer.json()["data"]["list"] == [{"monthSales": 0}]


def test_only_what_is_older_is_replaced(source: Documents) -> None:
    collected_at = utc_now() - timedelta(days=2)
    source.insert_many([make(number, updated_at=collected_at) for number in range(3)])
    assert run(source)["imported"] == 3
    records = collection_of(Record)
    for number, age in enumerate((3, 2, 1)):
        changes = {"collected_at": utc_now() - timedelta(days=age), "data": "ours"}
        if age == 2:
            changes["collected_at"] = collected_at
        records.update_one({"_id": f"high:100{number}:month:202506"}, {"$set": changes})
    result = run(source)
    assert (result["imported"], result["kept"]) == (1, 2)
    assert stored() == {
        "high:1000:month:202506": {"list": [{"monthSales": 0}]},
        "high:1001:month:202506": "ours",
        "high:1002:month:202506": "ours",
    }


def test_of_two_documents_of_one_record_the_later_wins(source: Documents) -> None:
    now = utc_now()
    for number, age in ((1, 3), (2, 1), (3, 2)):
        source.insert_one(make(number, catId="1000", updated_at=now - timedelta(days=age)))
    assert run(source)["is_verified"]
    assert stored() == {"high:1000:month:202506": {"list": [{"monthSales": 2}]}}


def test_a_record_that_appears_meanwhile_is_replaced_if_older(
    source: Documents, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another writer may insert an older record between MongoDB's search and its insertion."""
    source.insert_one(make(0))
    write, calls = reference_import.write_if_newer, []

    def lose_once(records: Any) -> Any:
        calls.append(records)
        if len(calls) == 1:
            older = {"_id": records[0].id, "collected_at": records[0].collected_at - timedelta(days=1)}
            collection_of(Record).insert_one(older)
            return frozenset(), frozenset()
        return write(records)

    monkeypatch.setattr(reference_import, "write_if_newer", lose_once)
    assert run(source)["lost"] == 0
    assert stored() == {"high:1000:month:202506": {"list": [{"monthSales": 0}]}}


def test_figures_that_do_not_arrive_are_noticed(source: Documents, monkeypatch: pytest.MonkeyPatch) -> None:
    source.insert_one(make(0))
    monkeypatch.setattr(
        reference_import, "write_if_newer", lambda records: (frozenset(map(id, records)), frozenset())
    )
    result = run(source, code=1)
    assert (result["is_verified"], result["lost"]) == (False, 1)


def test_ids_of_any_type_are_read_once(source: Documents) -> None:
    ids = [None, 1, 2.5, float("nan"), "a", "b", {"x": 1}, b"raw", ObjectId(), True, utc_now()]
    source.insert_many([make(number, _id=one) for number, one in enumerate(ids)])
    for batch_size in ("1", "2", "3", "100"):
        result = run(source, "--batch-size", batch_size)
        assert result["read"] == len(ids)
        assert result["imported"] + result["kept"] == len(ids)
    assert len(stored()) == len(ids)


def test_a_killed_import_goes_on_where_it_stopped(source: Documents, monkeypatch: pytest.MonkeyPatch) -> None:
    source.insert_many([make(number) for number in range(10)])
    source.insert_one(make(10, timest="?"))
    reads: list[int] = []
    read_batch = ReferenceSource.read_batch

    def read(self: ReferenceSource, *arguments: Any, **options: Any) -> Any:
        if len(reads) == 2:
            raise KeyboardInterrupt
        batch = read_batch(self, *arguments, **options)
        reads.append(len(batch))
        return batch

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(ReferenceSource, "read_batch", read)
        do_import(source, batch_size=3)
    assert len(stored()) == 6
    result = run(source, "--batch-size", "3", code=3)
    assert (result["was_resumed"], result["read"], result["imported"]) == (True, 11, 10)
    assert result["is_verified"]
    assert len(stored()) == 10
    # It came to its end: the next one begins anew.
    result = run(source, code=3)
    assert (result["was_resumed"], result["read"], result["kept"]) == (False, 11, 10)


def test_two_imports_of_one_source_do_not_meet(source: Documents) -> None:
    source.insert_many([make(number) for number in range(4)])

    def report(*_: Any) -> None:
        with pytest.raises(Conflict):
            do_import(source)

    assert do_import(source, batch_size=2, report=report).counts.imported == 4


def test_an_import_that_slept_too_long_gives_way(source: Documents) -> None:
    source.insert_many([make(number) for number in range(4)])

    def sleep(*_: Any) -> None:
        named_collection("mengla_imports").update_many({}, {"$set": {"token": "another process"}})

    with pytest.raises(Conflict):
        do_import(source, batch_size=1, report=sleep)


def test_a_document_that_is_no_proper_bson_is_one_unreadable_document(source: Documents) -> None:
    raw = bson.encode(make(0, catId="XXXX", _id=ObjectId()))
    broken = RawBSONDocument(raw.replace(b"XXXX", b"\xff\xfe\xff\xfe"))
    options = CodecOptions(document_class=RawBSONDocument)
    source.with_options(codec_options=options).insert_one(broken)
    source.insert_one(make(1))
    result = run(source, code=3)
    assert (result["imported"], result["unreadable"]) == (1, {"broken document": 1})


def test_a_record_mongodb_refuses_is_one_unreadable_document(source: Documents) -> None:
    deep: Any = 1
    for _ in range(177):  # one level more than fits into our record, not into the source
        deep = {"a": deep}
    source.insert_many([make(0), make(1, data=[{"deep": deep}]), make(2)])
    result = run(source, code=3)
    assert (result["imported"], result["unreadable"]) == (2, {"data cannot be stored": 1})
    assert len(stored()) == 2


def test_large_documents_are_read_a_few_at_a_time(source: Documents) -> None:
    for number in range(4):
        source.insert_one(make(number, data=[{"text": "x" * 5_000_000}]))
    seen: list[int] = []
    result = do_import(source, report=lambda counts, _total: seen.append(counts.read))
    assert seen == [2, 4]
    assert result.counts.imported == 4


def test_the_first_twenty_unreadable_ones_are_listed(source: Documents) -> None:
    source.insert_many([make(number, timest=None) for number in range(25)])
    result = run(source, code=3)
    assert result["unreadable"] == {"unreadable period": 25}
    assert len(result["unreadable_documents"]) == 20


def test_our_own_collection_is_refused(db: None) -> None:
    ours = collection_of(Record)
    error = run(ours, code=2)  # type: ignore[arg-type]
    assert error["message"] == "The source and the target are the same MongoDB collection."


def test_the_same_names_on_another_server_are_no_reason_to_refuse(
    source: Documents, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection_of(Record).insert_one({"_id": "x", "collected_at": utc_now()})
    monkeypatch.setattr("apps.mengla.former.reference_source._is_same_deployment", lambda _one, _other: False)
    assert run(collection_of(Record), code=3)["read"] == 1  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "options",
    [
        {"uri": "http://127.0.0.1/"},
        {"uri": ""},
        {"uri": "mongodb://user:secret-word@@host:27017"},
        {"uri": "mongodb://user:secret-word@host:99999"},
        {"uri": "mongodb://\x00secret-word"},
        {"uri": "mongodb://secret-word\udcff"},
        {"uri": "mongodb://" + "h" * 10_000},
        {"database": ""},
        {"database": "a.b"},
        {"database": "\udcff"},
        {"collection": "$x"},
        {"collection": "a\x00b"},
        {"collection": "c" * 1000},
    ],
)
def test_a_source_that_cannot_be_one(options: dict[str, str], db: None) -> None:
    given = {"uri": settings.MONGO_URI, "database": "a", "collection": "b"} | options
    with pytest.raises(InvalidInput) as caught, open_source(**given):
        pass
    assert "secret-word" not in str(caught.value.message)


def test_a_source_that_does_not_answer(source: Documents, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.mengla.former.reference_source._CONNECT_TIMEOUT_MS", 300)
    with (
        open_source(uri="mongodb://user:secret-word@127.0.0.1:1/", database="a", collection="b") as opened,
        pytest.raises(DependencyUnavailable) as caught,
    ):
        import_reference_data(opened)
    assert caught.value.message == "The source 127.0.0.1:1/a.b cannot be read (ServerSelectionTimeoutError)."
