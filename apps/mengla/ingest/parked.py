"""Parks webhooks in Redis until they can be processed.

There are two kinds. A webhook is parked *by its execution* when no collection has this execution id yet: the
request that started the execution is still in progress. It is *deferred* when MongoDB is down: the service
does not send an answer again.
"""

from __future__ import annotations

import zlib
from typing import Any, cast

import orjson
import redis
import structlog

from apps.core.storage.redis import KEY_PREFIX, get_redis, tolerate_redis_outage

logger = structlog.get_logger(__name__)

PARKED_TTL_SECONDS = 30 * 60
_DEFERRED_KEY = f"{KEY_PREFIX}deferred_answers"
_DEFERRED_MAX_LENGTH = 1000


def park(execution_id: str, body: dict[str, Any]) -> None:
    """Park the webhook of an unknown execution for half an hour; nothing happens without Redis."""
    packed = _pack(body)
    if packed is not None:
        tolerate_redis_outage(
            lambda client: client.set(_parked_key(execution_id), packed, ex=PARKED_TTL_SECONDS), None
        )


def unpark(execution_id: str) -> dict[str, Any] | None:
    """Remove and return the webhook parked for this execution, if any; only one process gets it."""

    def pop(client: redis.Redis) -> Any:
        return client.getdel(_parked_key(execution_id))

    packed = tolerate_redis_outage(pop, None)
    return None if packed is None else cast("dict[str, Any]", unpack(packed))


def defer(webhook: list[Any]) -> bool:
    """Park a webhook and its origin for the tick; False when Redis is down or too many are parked."""
    packed = _pack(webhook)

    def push(client: redis.Redis) -> bool:
        if client.llen(_DEFERRED_KEY) >= _DEFERRED_MAX_LENGTH:
            return False
        return bool(client.rpush(_DEFERRED_KEY, cast(bytes, packed)))

    return packed is not None and tolerate_redis_outage(push, False)


def has_deferred() -> bool:
    """Whether a webhook is parked for the tick."""
    return tolerate_redis_outage(lambda client: bool(client.exists(_DEFERRED_KEY)), False)


def count_deferred() -> int:
    """Return how many webhooks are parked for the tick.

    :raises redis.RedisError: when Redis does not respond.
    """
    return get_redis().llen(_DEFERRED_KEY)


def list_deferred(*, limit: int) -> list[bytes]:
    """Return the oldest deferred webhooks, packed; each stays until it is removed."""
    nothing: list[bytes] = []
    return tolerate_redis_outage(
        lambda client: cast("list[bytes]", client.lrange(_DEFERRED_KEY, 0, limit - 1)), nothing
    )


def remove_deferred(packed: bytes) -> None:
    """Remove a deferred webhook that has been processed."""
    # The types of redis-py ask for text, but it accepts bytes.
    tolerate_redis_outage(lambda client: client.lrem(_DEFERRED_KEY, 1, packed), None)  # type: ignore[arg-type]


def unpack(packed: bytes) -> Any:
    """Return the value of a packed webhook."""
    return orjson.loads(zlib.decompress(packed))


def _pack(value: Any) -> bytes | None:
    try:
        return zlib.compress(orjson.dumps(value))
    except orjson.JSONEncodeError:  # nested too deeply to be stored anyway
        logger.warning("answer_not_kept", reason="it cannot be written as JSON")
        return None


def _parked_key(execution_id: str) -> str:
    return f"{KEY_PREFIX}parked:{execution_id}"
