"""Answers kept in Redis until they can be acted on: parked or deferred ones.

*Parked*: nobody knows the execution yet, because the request that started it is still under way.
*Deferred*: MongoDB is down, and the service will not send a paid-for answer again.
"""

from __future__ import annotations

import zlib
from typing import Any, cast

import orjson
import redis
import structlog

from apps.core.storage.redis import KEY_PREFIX, tolerate_redis_outage

logger = structlog.get_logger(__name__)

PARKED_TTL_SECONDS = 30 * 60
_DEFERRED_KEY = f"{KEY_PREFIX}deferred_answers"
_DEFERRED_MAX_LENGTH = 1000


def park(execution_id: str, body: dict[str, Any]) -> None:
    """Keep the answer of an unknown execution for half an hour."""
    packed = _pack(body)
    if packed is not None:
        tolerate_redis_outage(
            lambda client: client.set(_parked_key(execution_id), packed, ex=PARKED_TTL_SECONDS), None
        )


def unpark(execution_id: str) -> dict[str, Any] | None:
    """Take the answer that was parked for this execution; only one caller gets it."""

    def take(client: redis.Redis) -> Any:
        return client.getdel(_parked_key(execution_id))

    packed = tolerate_redis_outage(take, None)
    return None if packed is None else cast("dict[str, Any]", unpack(packed))


def defer(answer: list[Any]) -> bool:
    """Keep an answer and where it came from; False when that is not possible."""
    packed = _pack(answer)

    def push(client: redis.Redis) -> bool:
        if cast(int, client.llen(_DEFERRED_KEY)) >= _DEFERRED_MAX_LENGTH:
            return False
        return bool(client.rpush(_DEFERRED_KEY, cast(bytes, packed)))

    return packed is not None and tolerate_redis_outage(push, False)


def list_deferred(*, limit: int) -> list[bytes]:
    """Return the oldest deferred answers, packed; they stay until they are forgotten."""
    nothing: list[bytes] = []
    return tolerate_redis_outage(
        lambda client: cast("list[bytes]", client.lrange(_DEFERRED_KEY, 0, limit - 1)), nothing
    )


def remove_deferred(packed: bytes) -> None:
    """Remove a deferred answer that has been acted on."""
    # redis-py's types want text; bytes are what it sends.
    tolerate_redis_outage(lambda client: client.lrem(_DEFERRED_KEY, 1, packed), None)  # type: ignore[arg-type]


def unpack(packed: bytes) -> Any:
    """Read back what was kept."""
    return orjson.loads(zlib.decompress(packed))


def _pack(value: Any) -> bytes | None:
    try:
        return zlib.compress(orjson.dumps(value))
    except orjson.JSONEncodeError:  # nested deeper than any result can be stored
        logger.warning("answer_not_kept", reason="it cannot be written as JSON")
        return None


def _parked_key(execution_id: str) -> str:
    return f"{KEY_PREFIX}parked:{execution_id}"
