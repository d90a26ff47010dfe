"""A cache entry: the final response bytes, plain and compressed, and the metadata to serve them."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson
from isal import isal_zlib

from apps.core.storage.clock import unix_now

_GZIP_MIN_BYTES = 1024
_GZIP_LEVEL = 1  # 3 % larger than zlib's level 5, in a tenth of its time
_GZIP_FORMAT = 31  # a gzip header around the largest window
_LASTING_SECONDS = 30 * 24 * 3600
_LENGTH = struct.Struct(">I")


@dataclass(frozen=True)
class Entry:
    """An entry of the tiers; instants are Unix seconds.

    ``version`` names the state of the database that the entry was built from. A reader can
    compare it with the current state.
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
        """Whether the entry need not be refreshed yet."""
        return now < self.fresh_until

    def is_servable(self, now: float) -> bool:
        """Whether the entry may be served, fresh or stale."""
        return now < self.serve_until

    def pack(self) -> bytes:
        """Serialise for Redis, with one body: to decompress it costs less than to transfer both."""
        is_compressed = bool(self.gzip_body)
        metadata = orjson.dumps(
            [
                *(self.etag, self.stored_at, self.fresh_until, self.serve_until),
                *(dict(self.headers), self.version, is_compressed),
            ]
        )
        return b"".join([_LENGTH.pack(len(metadata)), metadata, self.gzip_body or self.body])

    @classmethod
    def unpack(cls, packed: bytes) -> Entry | None:
        """Read what :meth:`pack` wrote; None when another version of this program wrote it."""
        try:
            return cls._read(packed)
        except (TypeError, ValueError, struct.error, isal_zlib.IsalError):  # type: ignore[misc]
            return None

    @classmethod
    def _read(cls, packed: bytes) -> Entry:
        (metadata_length,) = _LENGTH.unpack_from(packed)
        metadata_end = _LENGTH.size + metadata_length
        metadata = orjson.loads(packed[_LENGTH.size : metadata_end])
        etag, stored_at, fresh_until, serve_until, headers, version, is_compressed = metadata
        body = packed[metadata_end:]
        return cls(
            body=isal_zlib.decompress(body, _GZIP_FORMAT) if is_compressed else body,
            gzip_body=body if is_compressed else b"",
            etag=etag,
            stored_at=stored_at,
            fresh_until=fresh_until,
            serve_until=serve_until,
            headers=headers,
            version=version,
        )


@dataclass(frozen=True, slots=True)
class Built:
    """What was built from the database; subclasses add what their callers need to know."""

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
    """Make an entry of the bytes: compress them, and derive the ETag from their hash."""
    return Entry(
        body=body,
        gzip_body=_compress(body) if len(body) >= _GZIP_MIN_BYTES else b"",
        # Weak: the same tag stands for the plain and the compressed bytes.
        etag=f'W/"{hashlib.sha256(body).hexdigest()[:32]}"',
        stored_at=stored_at,
        fresh_until=fresh_until,
        serve_until=serve_until,
        headers=dict(headers or {}),
        version=version,
    )


def build_lasting_entry(body: bytes, *, fresh_seconds: float) -> Entry:
    """Make an entry of bytes that were true until now and seldom change.

    It is rebuilt after ``fresh_seconds``, in case a change is killed before it invalidates the entry. While
    MongoDB is down, it may be served for 30 days.
    """
    now = unix_now()
    return build_entry(
        body, stored_at=now, fresh_until=now + fresh_seconds, serve_until=now + _LASTING_SECONDS
    )


def _compress(body: bytes) -> bytes:
    return isal_zlib.compress(body, _GZIP_LEVEL, wbits=_GZIP_FORMAT)
