"""The file of a backup: what was written is read, and nothing else is accepted."""

from __future__ import annotations

import gzip
import io
import sys
from pathlib import Path
from typing import Any

import bson
import pytest
from django.core.management import call_command

from apps.core.errors import Conflict, InvalidInput
from apps.core.liveness.processes import note_web_process
from apps.core.storage.archive import FORMAT, ArchiveWriter, read_archive
from apps.core.storage.backup import Backup, examine, refuse_newer
from apps.core.storage.mongo import utc_now

HEADER = {"version": "1.0.0", "made_at": utc_now(), "database": "tests", "migrations": ["core.0001_x"]}
DOCUMENTS = [{"_id": number, "text": "数据" * number} for number in range(50)]


def packed(header: dict[str, Any] | None = None) -> bytes:
    file = io.BytesIO()
    writer = ArchiveWriter(file, HEADER if header is None else header)
    writer.begin_collection({"name": "some", "type": "collection", "options": {}, "indexes": []})
    for document in DOCUMENTS:
        writer.write_document(bson.encode(document))
    writer.finish()
    return file.getvalue()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "some.backup"


def test_what_was_written_is_read(path: Path) -> None:
    path.write_bytes(packed())
    _header, _collection, *documents = [entry.decoded() for entry in read_archive(path)]
    assert documents == DOCUMENTS
    found = examine(path)
    assert (found.version, found.collections, found.documents) == ("1.0.0", 1, len(DOCUMENTS))


def test_a_file_that_was_cut_off_or_changed_is_refused(path: Path) -> None:
    whole = packed()
    plain = gzip.decompress(whole)
    damaged = [whole[:size] for size in range(0, len(whole), 7)]
    damaged += [gzip.compress(plain[:size]) for size in range(30, len(plain) - 1, len(plain) // 50)]
    for place in range(40, len(plain), len(plain) // 50):
        damaged.append(gzip.compress(plain[:place] + bytes([plain[place] ^ 1]) + plain[place + 1 :]))
    damaged.append(gzip.compress(plain + b"D"))
    damaged.append(gzip.compress(plain + plain))
    for content in damaged:
        path.write_bytes(content)
        with pytest.raises(InvalidInput, match=r"is damaged|cannot be read|is no backup"):
            examine(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no backup"),
        (b"plain text", "cannot be read"),
        (gzip.compress(b"another file\n"), "is no backup"),
        (gzip.compress(b"MengLa Collector backup\n"), "is no backup"),
        (gzip.compress(b"MengLa Collector backup x\n"), "is no backup"),
        (gzip.compress(b"MengLa Collector backup %d\n" % (FORMAT + 1)), "newer version"),
        (gzip.compress(b"MengLa Collector backup %d\n" % FORMAT), "is damaged"),
        (gzip.compress(b"MengLa Collector backup %d\nD\xff\xff\xff\x7f" % FORMAT), "is damaged"),
        (packed({"version": "1.0.0"}), "is no backup"),
    ],
    ids=["empty", "plain", "other", "no_number", "no_digit", "newer", "only_line", "long", "no_migrations"],
)
def test_other_files_are_refused(path: Path, content: bytes, message: str) -> None:
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match=message):
        examine(path)


def test_a_missing_file_and_a_directory_are_refused(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(InvalidInput, match="cannot be read"):
            examine(place)


def test_a_backup_of_a_newer_version_is_refused() -> None:
    known = frozenset({"core.0001_indexes_of_other_apps", "contenttypes.0001_initial"})
    facts = {"made_at": utc_now(), "database": "tests", "collections": 1, "documents": 1}
    refuse_newer(Backup(version="1.0.0", migrations=known, **facts))
    with pytest.raises(Conflict, match=r"version 9\.0\.0, which is newer.*core\.9999_later"):
        refuse_newer(Backup(version="9.0.0", migrations=known | {"core.9999_later"}, **facts))


@pytest.mark.mongo
@pytest.mark.redis
@pytest.mark.django_db
def test_the_commands_refuse_before_they_change_anything(path: Path) -> None:
    call_command("backup", str(path), "--json", stdout=io.StringIO())
    assert path.stat().st_mode & 0o077 == 0
    before = path.read_bytes()
    for command in (
        ["backup", str(path)],
        ["restore", str(path), "--wait-seconds", "0"],
        ["restore", str(path.with_name("none"))],
    ):
        with pytest.raises(SystemExit):
            call_command(*command, stderr=io.StringIO())
    assert path.read_bytes() == before
    text = io.StringIO()
    call_command("restore", str(path), "--dry-run", stdout=text)
    assert "The file is whole" in text.getvalue()


@pytest.mark.django_db
@pytest.mark.mongo
@pytest.mark.redis
def test_a_process_that_starts_during_the_question_is_noticed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call_command("backup", str(path), stdout=io.StringIO())

    class Slow(io.StringIO):
        def readline(self, _size: int | None = -1, /) -> str:
            note_web_process()
            return "yes\n"

    monkeypatch.setattr(sys, "stdin", Slow())
    told = io.StringIO()
    arguments = ["restore", str(path), "--replace", "--wait-seconds", "0"]
    with pytest.raises(SystemExit) as ended:
        call_command(*arguments, stdout=io.StringIO(), stderr=told)
    assert ended.value.code == 1
    assert "1 web processes and 0 worker clusters run" in told.getvalue()
