"""How many reads of the last minutes were hits.

The counters hold totals, not counts per minute. So every check stores the totals in Redis beside the
counters, and compares them with the totals that were stored when the window began.
"""

from __future__ import annotations

from datetime import datetime
from typing import cast

import redis
from django.conf import settings

from apps.core.storage import counters
from apps.core.storage.redis import KEY_PREFIX, get_redis
from apps.mengla.store.outcomes import Lookups, lookups_of

KEY = f"{KEY_PREFIX}alerts:lookups"
_EXPIRY_SECONDS = 3 * 86_400
# A check may be a little late; totals that are older than that are outside the window.
_SLACK_SECONDS = 90
# Totals are stored at most once within this time, however many checks run.
_MIN_DISTANCE_SECONDS = 30


def note_lookups(*, now: datetime) -> Lookups | None:
    """Return the reads of the last ALERT_WINDOW_MINUTES, and store the totals for later checks.

    None when no earlier totals are stored, or when Redis has lost its counts since.

    :raises redis.RedisError: when Redis does not respond.
    """
    client, instant = get_redis(), now.timestamp()
    total = lookups_of(counters.read_total(counters.STATS))
    oldest = instant - settings.ALERT_WINDOW_MINUTES * 60 - _SLACK_SECONDS
    client.zremrangebyscore(KEY, "-inf", oldest)
    before = _first(client)
    if before is not None and (total.total < before.total or total.hits < before.hits):
        client.delete(KEY)
        before = None
    if client.zcount(KEY, instant - _MIN_DISTANCE_SECONDS, "+inf") == 0:
        client.zadd(KEY, {f"{instant:.3f}:{total.hits}:{total.total}": instant})
        client.expire(KEY, _EXPIRY_SECONDS)
    return None if before is None else Lookups(total.hits - before.hits, total.total - before.total)


def _first(client: redis.Redis) -> Lookups | None:
    found = cast("list[bytes]", client.zrange(KEY, 0, 0))
    if not found:
        return None
    _, hits, total = found[0].decode().split(":")
    return Lookups(int(hits), int(total))
