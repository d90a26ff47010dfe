"""One finished answer: the final response bytes, plain and compressed, and what serving them takes."""

from __future__ import annotations

import gzip
import hashlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson

_GZIP_MIN_BYTES = 1024
_GZIP_LEVEL = 5
_LENGTHS = struct.Struct(">II")


@dataclass(frozen=True)
class Entry:
    """An answer as it is kept in the tiers; instants are Unix seconds.

    ``version`` names the state of the database it was built from, for whoever compares the two.
    """

    body: bytes
    gzip_body: bytes
    etag: str
    stored_at: float
    fresh_until: float
    serve_until: float
    headers: Mapping[str, str] = field(default_factory=dict)
    version: str = ""

    def is_fresh(self, now: float) -> bool:
        """Whether the answer need not be renewed yet."""
        return now < self.fresh_until

    def is_servable(self, now: float) -> bool:
        """Whether the answer may be served at all, fresh or stale."""
        return now < self.serve_until

    def pack(self) -> bytes:
        """Serialise for Redis."""
        facts = orjson.dumps(
            [
                *(self.etag, self.stored_at, self.fresh_until, self.serve_until),
                *(dict(self.headers), self.version),
            ]
        )
        return _LENGTHS.pack(len(facts), len(self.body)) + facts + self.body + self.gzip_body

    @classmethod
    def unpack(cls, packed: bytes) -> Entry | None:
        """Read back what :meth:`pack` wrote; None when another version of this program wrote it."""
        try:
            return cls._read(packed)
        except (TypeError, ValueError, struct.error):
            return None

    @classmethod
    def _read(cls, packed: bytes) -> Entry:
        facts_length, body_length = _LENGTHS.unpack_from(packed)
        facts_end = _LENGTHS.size + facts_length
        facts = orjson.loads(packed[_LENGTHS.size : facts_end])
        etag, stored_at, fresh_until, serve_until, headers, version = facts
        body_end = facts_end + body_length
        return cls(
            body=packed[facts_end:body_end],
            gzip_body=packed[body_end:],
            etag=etag,
            stored_at=stored_at,
            fresh_until=fresh_until,
            serve_until=serve_until,
            headers=headers,
            version=version,
        )


@dataclass(frozen=True, slots=True)
class Built:
    """What was built from the database; subclasses add what their callers want to know of it."""

    entry: Entry


def build_entry(
    body: bytes,
    *,
    stored_at: float,
    fresh_until: float,
    serve_until: float,
    headers: Mapping[str, str] | None = None,
    version: str = "",
) -> Entry:
    """Finish an answer: compress it and name it by its hash."""
    return Entry(
        body=body,
        gzip_body=gzip.compress(body, _GZIP_LEVEL, mtime=0) if len(body) >= _GZIP_MIN_BYTES else b"",
        # Weak: the same tag stands for the plain and the compressed bytes.
        etag=f'W/"{hashlib.sha256(body).hexdigest()[:32]}"',
        stored_at=stored_at,
        fresh_until=fresh_until,
        serve_until=serve_until,
        headers=dict(headers or {}),
        version=version,
    )
