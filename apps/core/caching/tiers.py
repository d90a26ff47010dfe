"""Two cache tiers: L1 in each process, L2 in Redis. An entry holds the final response bytes.

Each entry belongs to a *group* and has a *field* in it. A write invalidates a whole group. These rules hold
across processes and hosts:

* One second after :meth:`TieredCache.invalidate` or :meth:`TieredCache.clear_all` has returned true, no
  process serves older bytes. Writers append the group to a Redis stream. A reader that last read the stream
  more than ``SYNC_INTERVAL_SECONDS`` ago reads it before it uses its L1.
* A slow reader or writer never replaces newer bytes with older ones. An entry is stored only if the group's
  version in Redis is still the one that was read before the database was read (a *ticket*).
* An outage of Redis raises no error. Readers do not use L1 then; they read the database. A notification that
  Redis did not accept is retried in the background (:mod:`apps.core.caching.retries`).

``clear_all`` changes the *epoch*, which is part of every L2 key, so one write invalidates everything.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Set
from dataclasses import dataclass, replace
from typing import Literal, cast

import redis
from django.conf import settings

from apps.core import process_state
from apps.core.caching.entry import Entry, build_entry
from apps.core.caching.memory import MemoryTier, Slot
from apps.core.caching.retries import retries
from apps.core.storage.clock import unix_now
from apps.core.storage.redis import KEY_PREFIX, tolerate_redis_outage

__all__ = ["Entry", "Lookup", "Ticket", "TieredCache", "build_entry", "clear_all", "get_cache"]

SYNC_INTERVAL_SECONDS = 0.4
EPOCH_KEY = f"{KEY_PREFIX}epoch"
CHANGES_KEY = f"{KEY_PREFIX}l1:changes"
DATA_PREFIX = f"{KEY_PREFIX}data:"
_CHANGES_MAX_LENGTH = 10_000
_EVERY_GROUP = "*"  # never the name of a group
_NEW_EPOCH = "**"  # never the name of a group either
_VERSION_FIELD = "\x00version"
_VERSION_TTL_SECONDS = 3600  # far longer than any reader takes between lookup and fill
_GROUP_MAX_FIELDS = 2000  # many different requests must not fill Redis

# KEYS: epoch, changes. ARGV: data prefix, group, new version, its ttl_ms, max length of the changes.
_INVALIDATE = """
local epoch = redis.call('GET', KEYS[1])
if epoch then
  local key = ARGV[1] .. epoch .. ':' .. ARGV[2]
  redis.call('DEL', key)
  redis.call('HSET', key, '\\0version', ARGV[3])
  redis.call('PEXPIRE', key, ARGV[4])
end
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[5], '*', 'group', ARGV[2])
return 1
"""
# KEYS: group key, epoch. ARGV: epoch seen, version seen ('' for none), field, entry, ttl_ms, max fields.
_FILL = """
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
if (redis.call('HGET', KEYS[1], '\\0version') or '') ~= ARGV[2] then return 0 end
local is_new = redis.call('HEXISTS', KEYS[1], ARGV[3]) == 0
if is_new and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[6]) then return 0 end
redis.call('HSET', KEYS[1], ARGV[3], ARGV[4])
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[5]) then redis.call('PEXPIRE', KEYS[1], ARGV[5]) end
return 1
"""

Tier = Literal["l1", "l2", "l3"]  # l3: the database
Accepts = Callable[[Entry], bool]


@dataclass(frozen=True, slots=True)
class Ticket:
    """The state seen before the database was read; it decides whether a fill is still allowed."""

    group: str
    field: str
    sequence: int
    epoch: str | None  # None: Redis did not respond, so L2 is not filled
    version: str = ""


@dataclass(frozen=True, slots=True)
class Lookup:
    """The result of a lookup in the tiers."""

    entry: Entry | None
    tier: Tier | None
    ticket: Ticket


@dataclass(frozen=True, slots=True)
class L1Usage:
    """What one process's L1 holds; ``bytes`` counts the bodies, plain and compressed."""

    entries: int
    bytes: int
    max_entries: int
    max_bytes: int


class TieredCache:
    """The two tiers as one process sees them; :func:`get_cache` returns this process's instance."""

    def __init__(self, *, l1_max_entries: int, l1_max_bytes: int, l1_ttl_seconds: float) -> None:
        self._l1 = MemoryTier(max_entries=l1_max_entries, max_bytes=l1_max_bytes, ttl_seconds=l1_ttl_seconds)
        self._lock = threading.Lock()  # guards L1 and the attributes up to the next lock
        self._epoch: str | None = None
        # Counts changes. A ticket is outdated if its group has changed after the ticket's count.
        self._sequence = 0
        self._changed: dict[str, int] = {}
        self._all_changed = 0
        self._sync_lock = threading.Lock()  # guards the position in the stream
        self._synced_at = float("-inf")
        self._position: str | None = None

    def lookup(self, group: str, field: str, *, accepts: Accepts = lambda _: True) -> Lookup:
        """Look in L1, then in L2, for an entry that ``accepts`` allows; the ticket is for :meth:`fill`."""
        is_synced = self._catch_up()
        now = unix_now()
        with self._lock:
            ticket = Ticket(group, field, self._sequence, self._epoch if is_synced else None)
            slot = self._l1.find((group, field)) if is_synced else None
            entry = slot.entry if slot is not None else None
        if entry is not None and entry.is_servable(now) and accepts(entry):
            return Lookup(entry, "l1", ticket)
        if ticket.epoch is None:
            return Lookup(None, None, ticket)
        return self._lookup_l2(ticket, now, accepts)

    def last_known(self, group: str, field: str) -> Entry | None:
        """Return the entry of this process's L1, however stale; for an outage of MongoDB."""
        slot = self.slot_of(group, field)
        return slot.entry if slot is not None else None

    def holds(self, group: str, field: str) -> bool:
        """Whether this process's L1 or L2 holds an entry; false when Redis does not respond."""
        epoch = self._epoch if self._catch_up() else None
        return self.slot_of(group, field) is not None or (
            epoch is not None
            and tolerate_redis_outage(
                lambda client: bool(client.hexists(_data_key(epoch, group), field)), False
            )
        )

    def slot_of(self, group: str, field: str) -> Slot | None:
        """Return the slot of an entry in L1, None when L1 does not hold it."""
        with self._lock:
            return self._l1.find((group, field))

    @property
    def is_caught_up(self) -> bool:
        """Whether this process knows the invalidations of the others, but for the last moment.

        If so, an entry that a slot holds after this question may be served without another lookup.
        """
        return time.monotonic() - self._synced_at < SYNC_INTERVAL_SECONDS

    def keep_up(self) -> None:
        """Catch up before a reader has to; a thread calls it several times in ``SYNC_INTERVAL_SECONDS``."""
        self._catch_up(share_of_interval=0.25)

    def fill(self, ticket: Ticket, entry: Entry) -> None:
        """Store an entry built from the database, unless the group was invalidated since the lookup."""
        self._put(ticket, entry)
        epoch = ticket.epoch
        if epoch is None:
            return
        tolerate_redis_outage(
            lambda client: client.eval(
                _FILL,
                2,
                _data_key(epoch, ticket.group),
                EPOCH_KEY,
                epoch,
                ticket.version,
                ticket.field,
                entry.pack(),
                _remaining_ms(entry),
                _GROUP_MAX_FIELDS,
            ),
            None,
        )

    def invalidate(self, group: str) -> bool:
        """Drop the group's entries in all tiers and processes; call it after the database write.

        Returns False when Redis did not accept it. Other processes may then serve older bytes until this
        process has retried, which it does soon. In case it is killed, the caller should also arrange a retry.
        """
        is_accepted = _notify(
            group,
            lambda client: client.eval(
                _INVALIDATE,
                2,
                EPOCH_KEY,
                CHANGES_KEY,
                DATA_PREFIX,
                group,
                uuid.uuid4().hex,
                _VERSION_TTL_SECONDS * 1000,
                _CHANGES_MAX_LENGTH,
            ),
        )
        # Dropped last: before Redis accepted it, another thread may have copied older bytes from L2 to L1.
        self._drop({group})
        return is_accepted

    def clear_all(self) -> bool:
        """Invalidate everything in all tiers and processes; False when Redis did not accept it."""
        is_accepted = _notify(_NEW_EPOCH, _begin_new_epoch)
        self.clear_l1()
        self._synced_at = float("-inf")  # this process must read the new epoch, too
        return is_accepted

    def clear_l1(self) -> None:
        """Empty this process's L1."""
        with self._lock:
            self._forget_everything()

    def clear_l1_everywhere(self) -> bool:
        """Empty L1 in every process within a second, and keep L2; False when Redis did not accept it."""
        is_accepted = _notify(
            _EVERY_GROUP,
            lambda client: client.xadd(CHANGES_KEY, {"group": _EVERY_GROUP}, maxlen=_CHANGES_MAX_LENGTH),
        )
        self.clear_l1()
        return is_accepted

    def l1_usage(self) -> L1Usage:
        """Count what this process's L1 holds now."""
        with self._lock:
            self._l1.drop_expired()
            return L1Usage(len(self._l1), self._l1.bytes, self._l1.max_entries, self._l1.max_bytes)

    def _lookup_l2(self, ticket: Ticket, now: float, accepts: Accepts) -> Lookup:
        key = _data_key(ticket.epoch or "", ticket.group)
        found = tolerate_redis_outage(
            lambda client: cast("list[bytes | None]", client.hmget(key, [_VERSION_FIELD, ticket.field])), None
        )
        if found is None:
            return Lookup(None, None, replace(ticket, epoch=None))
        version, packed = found
        ticket = replace(ticket, version=(version or b"").decode())
        entry = Entry.unpack(packed) if packed is not None else None
        if entry is None or not entry.is_servable(now):
            return Lookup(None, None, ticket)
        self._put(ticket, entry)
        return Lookup(entry, "l2", ticket) if accepts(entry) else Lookup(None, None, ticket)

    def _put(self, ticket: Ticket, entry: Entry) -> None:
        with self._lock:
            if max(self._changed.get(ticket.group, 0), self._all_changed) <= ticket.sequence:
                self._l1.put((ticket.group, ticket.field), entry)

    def _catch_up(self, *, share_of_interval: float = 1.0) -> bool:
        """Apply the invalidations of other processes; False when Redis did not respond.

        Nothing is read again within this share of ``SYNC_INTERVAL_SECONDS``.
        """
        max_age_seconds = SYNC_INTERVAL_SECONDS * share_of_interval
        if time.monotonic() - self._synced_at < max_age_seconds:
            return True
        with self._sync_lock:
            started_at = time.monotonic()
            if started_at - self._synced_at < max_age_seconds:
                return True
            is_known = tolerate_redis_outage(self._read_changes, False)
            if is_known:
                self._synced_at = started_at
            return is_known

    def _read_changes(self, client: redis.Redis) -> bool:
        pipeline = client.pipeline(transaction=False)
        pipeline.get(EPOCH_KEY)
        pipeline.xrevrange(CHANGES_KEY, count=1)
        pipeline.xrange(CHANGES_KEY, count=1)
        pipeline.xrange(CHANGES_KEY, min=f"({self._position}" if self._position else "+")
        packed_epoch, newest, oldest, changes = pipeline.execute()
        # Written only when there is none, so that a read-only Redis can still be read.
        epoch = packed_epoch.decode() if packed_epoch else _begin_first_epoch(client)
        if epoch is None:
            return False
        is_trimmed = oldest and self._position and _as_pair(oldest[0][0]) > _as_pair(self._position)
        with self._lock:
            is_other_epoch = epoch != self._epoch
            self._epoch = epoch
            if is_other_epoch or is_trimmed:
                self._forget_everything()
        if is_other_epoch or is_trimmed or self._position is None:
            # Entries stored from now on are newer than the whole stream. The old position is void: a new
            # epoch may come from another server with another clock.
            self._position = newest[0][0].decode() if newest else "0-0"
        elif changes:
            groups = {fields[b"group"].decode() for _, fields in changes}
            if _EVERY_GROUP in groups:
                self.clear_l1()
            self._drop(groups)
            self._position = changes[-1][0].decode()
        return True

    def _drop(self, groups: Set[str]) -> None:
        with self._lock:
            self._sequence += 1
            self._changed.update(dict.fromkeys(groups, self._sequence))
            if len(self._changed) > _CHANGES_MAX_LENGTH:
                # Too many groups to remember: all earlier tickets count as outdated.
                self._changed.clear()
                self._all_changed = self._sequence
            self._l1.drop_where(lambda key: key[0] in groups)

    def _forget_everything(self) -> None:
        self._l1.drop_where(lambda _: True)
        self._sequence += 1
        self._changed.clear()
        self._all_changed = self._sequence


def _notify(name: str, operation: Callable[[redis.Redis], object]) -> bool:
    """Notify the other processes now, even in a known outage; returns whether Redis accepted it.

    If Redis did not, the notification is retried in the background.
    """

    def notify() -> bool:
        return tolerate_redis_outage(lambda client: bool(operation(client)), False, must_try=True)

    is_accepted = notify()
    if not is_accepted:
        retries.add(name, notify)
    return is_accepted


def _begin_first_epoch(client: redis.Redis) -> str | None:
    """Begin an epoch, or return the one that another process has just begun; None if that is gone by now."""
    epoch = uuid.uuid4().hex
    if client.set(EPOCH_KEY, epoch, nx=True):
        return epoch
    packed = cast("bytes | None", client.get(EPOCH_KEY))
    return packed.decode() if packed else None


def _begin_new_epoch(client: redis.Redis) -> bool:
    old_epoch = cast("bytes | None", client.set(EPOCH_KEY, uuid.uuid4().hex, get=True))
    if old_epoch:
        for key in client.scan_iter(match=f"{_data_key(old_epoch.decode(), '')}*", count=1000):
            client.unlink(key)
    return True


def _data_key(epoch: str, group: str) -> str:
    return f"{DATA_PREFIX}{epoch}:{group}"


def _remaining_ms(entry: Entry) -> int:
    return max(1, int((entry.serve_until - unix_now()) * 1000))


def _as_pair(identifier: bytes | str) -> tuple[int, int]:
    text = identifier.decode() if isinstance(identifier, bytes) else identifier
    milliseconds, _, number = text.partition("-")
    return int(milliseconds), int(number)


@process_state.made_once
def get_cache() -> TieredCache:
    """Return this process's instance of the tiers."""
    return TieredCache(
        l1_max_entries=settings.L1_CACHE_MAX_SIZE,
        l1_max_bytes=settings.L1_CACHE_MAX_BYTES,
        l1_ttl_seconds=settings.L1_CACHE_TTL,
    )


def clear_all() -> bool:
    """Invalidate every entry in every process; False when Redis did not accept it."""
    return get_cache().clear_all()
