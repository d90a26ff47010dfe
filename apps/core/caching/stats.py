"""The usage of L2: counted on demand, not estimated."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, cast

from apps.core.caching.tiers import DATA_PREFIX, EPOCH_KEY
from apps.core.storage.redis import get_redis

_SCAN_COUNT = 1000
_SCAN_SECONDS = 2.0
# ARGV: cursor, pattern, count. Returns the next cursor, then the key, entries and bytes of each group.
_SCAN_PAGE = """
local page = redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', ARGV[3])
local reply = {page[1]}
for _, key in ipairs(page[2]) do
  reply[#reply + 1] = key
  reply[#reply + 1] = redis.call('HLEN', key) - redis.call('HEXISTS', key, '\\0version')
  reply[#reply + 1] = redis.call('MEMORY', 'USAGE', key, 'SAMPLES', 0) or 0
end
return reply
"""


@dataclass(frozen=True, slots=True)
class SharedTierUsage:
    """What L2 holds; ``is_complete`` is false when the count was cut off at its time limit."""

    groups: int
    entries: int
    bytes: int
    is_complete: bool


def shared_tier_usage() -> SharedTierUsage:
    """Count what L2 holds now.

    :raises redis.RedisError: when Redis does not respond.
    """
    client = get_redis()
    epoch = cast("bytes | None", client.get(EPOCH_KEY))
    if epoch is None:
        return SharedTierUsage(0, 0, 0, is_complete=True)
    deadline = time.monotonic() + _SCAN_SECONDS
    found: dict[bytes, tuple[int, int]] = {}  # a scan may return a key twice
    cursor: Any = 0
    while True:
        reply = cast(
            "list[Any]",
            client.eval(_SCAN_PAGE, 0, cursor, f"{DATA_PREFIX}{epoch.decode()}:*", _SCAN_COUNT),
        )
        cursor, rows = reply[0], reply[1:]
        for key, entries, size in zip(rows[::3], rows[1::3], rows[2::3], strict=True):
            found[key] = (int(entries), int(size))
        is_complete = int(cursor) == 0
        if is_complete or time.monotonic() >= deadline:
            return SharedTierUsage(
                groups=sum(1 for entries, _ in found.values() if entries),
                entries=sum(entries for entries, _ in found.values()),
                bytes=sum(size for _, size in found.values()),
                is_complete=is_complete,
            )
