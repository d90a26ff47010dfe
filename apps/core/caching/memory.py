"""L1: the entries that one process keeps in its memory, bounded in number, in bytes and in time."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator

from apps.core.caching.entry import Entry

Key = tuple[str, str]  # group and field


class Slot:
    """The place of one entry in L1; ``entry`` is None from the moment that L1 does not hold it any more.

    The holder of a slot knows without a lookup, and without a lock, whether L1 still has the entry.
    """

    __slots__ = ("entry", "expires_at", "was_used")

    def __init__(self, entry: Entry, expires_at: float) -> None:
        self.entry: Entry | None = entry
        self.expires_at = expires_at  # on the monotonic clock
        self.was_used = False

    def current(self) -> Entry | None:
        """Return the entry, or None when L1 does not hold it any more."""
        return self.entry if time.monotonic() < self.expires_at else None


class MemoryTier:
    """A bounded map from group and field to entries. It has no lock: its owner guards all methods.

    Beyond a bound, the entry goes that has been there longest and was not used since the last search for
    one ("second chance"). So a read only sets a flag and moves nothing.
    """

    def __init__(self, *, max_entries: int, max_bytes: int, ttl_seconds: float) -> None:
        self.max_entries = max_entries
        self.max_bytes = max_bytes
        self._ttl_seconds = ttl_seconds
        # Of a dict, the first key is found only after all places that earlier first keys have left.
        self._slots: OrderedDict[Key, Slot] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._slots)

    def __iter__(self) -> Iterator[Key]:
        return iter(self._slots)

    @property
    def bytes(self) -> int:
        """The bytes of the bodies, plain and compressed."""
        return self._bytes

    def find(self, key: Key) -> Slot | None:
        """Return the slot of a key, None when there is none or its time is over."""
        slot = self._slots.get(key)
        if slot is None:
            return None
        if slot.current() is None:
            self.drop(key)
            return None
        slot.was_used = True
        return slot

    def put(self, key: Key, entry: Entry) -> None:
        """Store an entry; it replaces that of the same key. One that is too large alone is not stored."""
        self.drop(key)
        size = size_of(entry)
        if size > self.max_bytes:
            return
        while self._slots and (len(self._slots) >= self.max_entries or self._bytes + size > self.max_bytes):
            self._drop_one()
        self._slots[key] = Slot(entry, time.monotonic() + self._ttl_seconds)
        self._bytes += size

    def drop(self, key: Key) -> None:
        """Forget the entry of a key, if there is one."""
        slot = self._slots.pop(key, None)
        if slot is not None and slot.entry is not None:
            self._bytes -= size_of(slot.entry)
            slot.entry = None

    def drop_where(self, is_wanted: Callable[[Key], bool]) -> None:
        """Forget the entries of all keys that the function is true for."""
        for key in [key for key in self._slots if is_wanted(key)]:
            self.drop(key)

    def drop_expired(self) -> None:
        """Forget the entries whose time is over."""
        self.drop_where(lambda key: self._slots[key].current() is None)

    def _drop_one(self) -> None:
        while True:
            key = next(iter(self._slots))
            slot = self._slots[key]
            if not slot.was_used or slot.current() is None:
                self.drop(key)
                return
            slot.was_used = False
            self._slots.move_to_end(key)


def size_of(entry: Entry) -> int:
    """Return the bytes of an entry's bodies, plain and compressed."""
    return len(entry.body) + len(entry.gzip_body)
