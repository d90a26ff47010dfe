"""Answers kept in two tiers: L1 in each process, L2 in Redis. What is kept is the final response bytes.

Entries are filed under a *group* and a *field*. A group is what one write makes outdated all at once. Rules,
all of which hold across processes and hosts:

* After :meth:`TieredCache.invalidate` or :meth:`TieredCache.clear_all` returns true, no process serves older
  bytes for more than a second. Writers append the group to a Redis stream; a reader catches up with the
  stream when it last did so more than ``SYNC_INTERVAL_SECONDS`` ago, before it trusts its L1.
* Nobody slow, reader or writer, puts older bytes over newer ones: an entry is kept only if the group's
  version in Redis is still the one that was seen before the database was read (a *ticket*).
* Without Redis nothing fails: L1 is not trusted, so the database is read. What Redis did not take of a write
  is told again in the background (:mod:`apps.core.caching.retries`).

``clear_all`` changes the *epoch*, which is part of every L2 key: one write outdates everything.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Set
from dataclasses import dataclass, replace
from typing import Literal, cast

import redis
from cachetools import TTLCache
from django.conf import settings

from apps.core import process_state
from apps.core.caching.entry import Entry, build_entry
from apps.core.caching.retries import retries
from apps.core.storage.redis import KEY_PREFIX, tolerate_redis_outage

__all__ = ["Entry", "Lookup", "Ticket", "TieredCache", "build_entry", "clear_all", "get_cache"]

SYNC_INTERVAL_SECONDS = 0.4
EPOCH_KEY = f"{KEY_PREFIX}epoch"
CHANGES_KEY = f"{KEY_PREFIX}l1:changes"
DATA_PREFIX = f"{KEY_PREFIX}data:"
_CHANGES_MAX_LENGTH = 10_000
_EVERY_GROUP = "*"  # no group has this name
_NEW_EPOCH = "**"  # nor this one
_VERSION_FIELD = "\x00version"
_VERSION_TTL_SECONDS = 3600  # far longer than anybody takes between ticket and fill
_GROUP_MAX_FIELDS = 2000  # nobody fills Redis by asking for everything

# KEYS: epoch, changes. ARGV: data prefix, group, new version, version's ttl_ms, max length of the changes.
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
    """What was seen before the database was read; decides whether a fill is still welcome."""

    group: str
    field: str
    sequence: int
    epoch: str | None  # None: Redis did not say, so L2 is not filled
    version: str = ""


@dataclass(frozen=True, slots=True)
class Lookup:
    """The result of a look into the tiers."""

    entry: Entry | None
    tier: Tier | None
    ticket: Ticket


@dataclass(frozen=True, slots=True)
class L1Usage:
    """What one process's own tier holds; the bytes are those of the answers, plain and compressed."""

    entries: int
    bytes: int
    max_entries: int


class TieredCache:
    """The two tiers as one process sees them; :func:`get_cache` returns the one of this process."""

    def __init__(self, *, l1_max_entries: int, l1_ttl_seconds: float) -> None:
        self._l1: TTLCache[tuple[str, str], Entry] = TTLCache(l1_max_entries, l1_ttl_seconds)
        self._lock = threading.Lock()  # guards everything below but the two of the stream
        self._epoch: str | None = None
        # Counts changes; a ticket of an earlier count than its group's last change is outdated.
        self._sequence = 0
        self._changed: dict[str, int] = {}
        self._all_changed = 0
        self._sync_lock = threading.Lock()  # guards the reading of the stream
        self._synced_at = float("-inf")
        self._position: str | None = None

    def lookup(self, group: str, field: str, *, accepts: Accepts = lambda _: True) -> Lookup:
        """Look into L1, then L2, for an entry that the caller takes; the ticket allows to fill the field."""
        is_synced = self._catch_up()
        now = time.time()
        with self._lock:
            ticket = Ticket(group, field, self._sequence, self._epoch if is_synced else None)
            entry: Entry | None = self._l1.get((group, field)) if is_synced else None
        if entry is not None and entry.is_servable(now) and accepts(entry):
            return Lookup(entry, "l1", ticket)
        if ticket.epoch is None:
            return Lookup(None, None, ticket)
        return self._lookup_l2(ticket, now, accepts)

    def last_known(self, group: str, field: str) -> Entry | None:
        """Return what this process last served, however old: for when nothing else answers."""
        with self._lock:
            entry: Entry | None = self._l1.get((group, field))
            return entry

    def fill(self, ticket: Ticket, entry: Entry) -> None:
        """Keep what was built from the database, unless a newer write has come meanwhile."""
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
        """Drop everything of the group in all tiers and processes; call it after the database write.

        Returns False when Redis did not take it: then other processes may serve older bytes until it has been
        repeated, which this process does soon, and the caller should see to in case that it is killed.
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
        # Only now: a thread of ours may have copied the older bytes from L2 until then.
        self._drop({group})
        return is_accepted

    def clear_all(self) -> bool:
        """Outdate everything in all tiers and processes; False when Redis did not take it."""
        is_accepted = _notify(_NEW_EPOCH, _begin_new_epoch)
        self.clear_l1()
        self._synced_at = float("-inf")  # this process, too, must learn the new epoch first
        return is_accepted

    def clear_l1(self) -> None:
        """Empty this process's own tier."""
        with self._lock:
            self._forget_everything()

    def clear_l1_everywhere(self) -> bool:
        """Empty L1 in every process within a second, and keep L2; False when Redis did not take it."""
        is_accepted = _notify(
            _EVERY_GROUP,
            lambda client: client.xadd(CHANGES_KEY, {"group": _EVERY_GROUP}, maxlen=_CHANGES_MAX_LENGTH),
        )
        self.clear_l1()
        return is_accepted

    def l1_usage(self) -> L1Usage:
        """Count what this process's own tier holds now."""
        with self._lock:
            self._l1.expire()
            sizes = [len(entry.body) + len(entry.gzip_body) for entry in self._l1.values()]
            return L1Usage(len(sizes), sum(sizes), int(self._l1.maxsize))

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
                self._l1[ticket.group, ticket.field] = entry

    def _catch_up(self) -> bool:
        """Apply what other processes changed; False when that cannot be known now."""
        if time.monotonic() - self._synced_at < SYNC_INTERVAL_SECONDS:
            return True
        with self._sync_lock:
            started_at = time.monotonic()
            if started_at - self._synced_at < SYNC_INTERVAL_SECONDS:
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
        # Written only when there is none: a Redis that takes no writes is still read.
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
            # What is kept from here on is newer than all of these. The old position says nothing any more:
            # another epoch may be another server with another clock.
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
                # Too many to remember: every ticket of before counts as outdated.
                self._changed.clear()
                self._all_changed = self._sequence
            for key in [key for key in self._l1 if key[0] in groups]:
                self._l1.pop(key, None)

    def _forget_everything(self) -> None:
        self._l1.clear()
        self._sequence += 1
        self._changed.clear()
        self._all_changed = self._sequence


def _notify(name: str, operation: Callable[[redis.Redis], object]) -> bool:
    """Tell the other processes now, whatever is remembered of an outage; if Redis does not take it, soon."""

    def notify() -> bool:
        return tolerate_redis_outage(lambda client: bool(operation(client)), False, must_try=True)

    is_accepted = notify()
    if not is_accepted:
        retries.add(name, notify)
    return is_accepted


def _begin_first_epoch(client: redis.Redis) -> str | None:
    """Begin an epoch unless another process does so this very moment; None when it is gone again."""
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
    return max(1, int((entry.serve_until - time.time()) * 1000))


def _as_pair(identifier: bytes | str) -> tuple[int, int]:
    text = identifier.decode() if isinstance(identifier, bytes) else identifier
    milliseconds, _, number = text.partition("-")
    return int(milliseconds), int(number)


@process_state.made_once
def get_cache() -> TieredCache:
    """Return this process's view of the tiers."""
    return TieredCache(l1_max_entries=settings.L1_CACHE_MAX_SIZE, l1_ttl_seconds=settings.L1_CACHE_TTL)


def clear_all() -> bool:
    """Outdate every cached answer in every process; False when Redis did not take it."""
    return get_cache().clear_all()
