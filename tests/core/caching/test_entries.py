"""A finished answer on its way through Redis."""

from __future__ import annotations

import gzip

import pytest

from apps.core.caching.tiers import Entry, build_entry
from tests.core.caching.support import START, entry_of


def test_survive_redis() -> None:
    entry = build_entry(
        "фигуры".encode() * 500,
        stored_at=1.5,
        fresh_until=2.5,
        serve_until=3.5,
        headers={"X-MengLa-Freshness": "empty"},
    )
    assert Entry.unpack(entry.pack()) == entry


def test_an_empty_body_survives_too() -> None:
    entry = build_entry(b"", stored_at=1, fresh_until=2, serve_until=3)
    assert Entry.unpack(entry.pack()) == entry


def test_only_large_bodies_are_compressed() -> None:
    large = entry_of("x" * 1024)
    assert gzip.decompress(large.gzip_body) == large.body
    assert entry_of("x" * 1023).gzip_body == b""


def test_equal_bodies_have_equal_tags() -> None:
    assert entry_of("a").etag == entry_of("a", serve_seconds=1).etag != entry_of("b").etag


@pytest.mark.parametrize(
    "junk", [b"", b"\x00", b"\x00" * 8, b"\x00\x00\x00\x01\x00\x00\x00\x005", b"junk" * 9]
)
def test_what_another_version_wrote_is_no_entry(junk: bytes) -> None:
    assert Entry.unpack(junk) is None


def test_fresh_then_stale_then_gone() -> None:
    entry = entry_of(serve_seconds=3600)
    assert [entry.is_fresh(START + 59), entry.is_fresh(START + 60)] == [True, False]
    assert [entry.is_servable(START + 3599), entry.is_servable(START + 3600)] == [True, False]
