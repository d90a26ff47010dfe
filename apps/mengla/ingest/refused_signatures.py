"""Counts refused webhooks of our own executions: they show that WEBHOOK_SECRET differs from the service's.

A call counts only if it names a known execution, by the attempt's token in its URL or by the execution's
id in its body. So a stranger cannot cause the alert. The number is in Redis, for all processes; it is
forgotten with the first valid signature, or an hour after the last refusal.
"""

from __future__ import annotations

import re
from typing import cast

import redis
import structlog
from bson import ObjectId
from django.db.utils import DatabaseError
from pymongo.errors import PyMongoError

from apps.core.storage.clock import unix_now
from apps.core.storage.outages import mongo_outage
from apps.core.storage.redis import KEY_PREFIX, get_redis, tolerate_redis_outage
from apps.mengla.ingest.receive import has_valid_token
from apps.mengla.store import selectors

logger = structlog.get_logger(__name__)

REFUSALS_THAT_COUNT = 3
WINDOW_SECONDS = 3600
# For all processes together. A call of a stranger costs Redis one command; MongoDB gets at most this many
# queries.
MAX_LOOKUPS = 20
LOOKUPS_SECONDS = 10
_KEY = f"{KEY_PREFIX}refused_signatures"
_LOGGED_KEY = f"{KEY_PREFIX}refused_signatures_logged"
_LOOKUPS_KEY = f"{KEY_PREFIX}refused_signatures_lookups"
_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,64}")
_SEARCHED_BYTES = 4096  # at each end of the body
_EXECUTION_ID = re.compile(rb'"execution(?:Id|_id)"\s*:\s*"([!-~]{1,128}?)"')


def note_refused(raw: bytes, *, collection_id: str | None, token: str | None) -> None:
    """Count a webhook whose signature is wrong, if it names a known execution; never raises."""
    named = _EXECUTION_ID.search(raw[:_SEARCHED_BYTES]) or _EXECUTION_ID.search(raw[-_SEARCHED_BYTES:])
    execution_id = named[1].decode() if named else ""
    has_token = ObjectId.is_valid(collection_id or "") and _TOKEN.fullmatch(token or "") is not None
    if not (has_token or execution_id) or mongo_outage.is_known or not _may_look_up():
        return
    try:
        is_ours = (
            has_token and has_valid_token(collection_id=collection_id, token=token)
        ) or selectors.find_collection_by_execution(execution_id) is not None
    except (PyMongoError, DatabaseError):
        return
    if is_ours and tolerate_redis_outage(_count, False):
        logger.error(
            "webhook_signatures_refused",
            count=REFUSALS_THAT_COUNT,
            cause="WEBHOOK_SECRET differs between this product and the collection service",
        )


def note_valid() -> None:
    """Forget the refusals: a signature was valid."""
    tolerate_redis_outage(lambda client: client.delete(_KEY), None)


def count_refused() -> int:
    """Return how many webhooks of our executions were refused since the last valid signature.

    :raises redis.RedisError: when Redis does not respond.
    """
    return int(cast("bytes | None", get_redis().get(_KEY)) or 0)


def _may_look_up() -> bool:
    def count(client: redis.Redis) -> bool:
        key = f"{_LOOKUPS_KEY}:{int(unix_now() / LOOKUPS_SECONDS)}"
        pipeline = client.pipeline(transaction=False)
        pipeline.incr(key)
        pipeline.expire(key, LOOKUPS_SECONDS * 2)
        return cast(int, pipeline.execute()[0]) <= MAX_LOOKUPS

    return tolerate_redis_outage(count, False)


def _count(client: redis.Redis) -> bool:
    """Count one more; returns whether the log has to name the cause now."""
    pipeline = client.pipeline()
    pipeline.incr(_KEY)
    pipeline.expire(_KEY, WINDOW_SECONDS)
    count = cast(int, pipeline.execute()[0])
    return count >= REFUSALS_THAT_COUNT and bool(client.set(_LOGGED_KEY, 1, nx=True, ex=WINDOW_SECONDS))
