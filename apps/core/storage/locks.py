"""Leases in Redis: at most one owner at a time, gone by themselves when the owner dies."""

from __future__ import annotations

from redis.lock import Lock

from apps.core.storage.redis import KEY_PREFIX, get_redis


def lease_of(name: str, *, ttl_seconds: float) -> Lock:
    """Return the lease of that name, not yet taken: ``acquire()`` tries once and returns whether it is ours.

    It belongs to the object, so any thread may prolong or release it. Every method raises
    ``redis.RedisError`` when Redis is down, and ``redis.exceptions.LockError``, which is one too, when
    the owner prolongs or releases a lease that it does not hold any more.
    """
    key = f"{KEY_PREFIX}lease:{name}"
    return Lock(get_redis(), key, timeout=ttl_seconds, blocking=False, thread_local=False)
