"""Leases in Redis: one owner at a time; the lease expires when its owner dies."""

from __future__ import annotations

from redis.lock import Lock

from apps.core.storage.redis import KEY_PREFIX, get_redis


def lease_of(name: str, *, ttl_seconds: float) -> Lock:
    """Return the lease of that name; ``acquire()`` tries once to get it, and returns whether it did.

    The object owns the lease, not the thread: any thread may extend or release it. Every method raises
    ``redis.RedisError`` when Redis is down. Extending or releasing a lease that the object no longer owns
    raises ``redis.exceptions.LockError``, a subclass of it.
    """
    return Lock(get_redis(), lease_key(name), timeout=ttl_seconds, blocking=False, thread_local=False)


def lease_key(name: str) -> str:
    """Return the Redis key of the lease of that name; it exists while the lease is held."""
    return f"{KEY_PREFIX}lease:{name}"
