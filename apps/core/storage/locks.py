"""Leases in Redis: at most one owner at a time, gone by themselves when the owner dies."""

from __future__ import annotations

import secrets
from typing import cast

from apps.core.storage.redis import KEY_PREFIX, get_redis

_RENEW = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""
_RELEASE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
"""


class Lease:
    """A named lease with an owner token; every method raises ``redis.RedisError`` when Redis is down."""

    def __init__(self, name: str, *, ttl_seconds: float) -> None:
        self._key = f"{KEY_PREFIX}lease:{name}"
        self._ttl_ms = int(ttl_seconds * 1000)
        self._token = secrets.token_hex(16)

    def acquire(self) -> bool:
        """Take the lease; False when somebody else holds it."""
        return bool(get_redis().set(self._key, self._token, nx=True, px=self._ttl_ms))

    def renew(self, *, ttl_seconds: float | None = None) -> bool:
        """Let the lease last its full time (or the given one) from now; False when it is no longer ours."""
        ttl_ms = self._ttl_ms if ttl_seconds is None else max(1, int(ttl_seconds * 1000))
        return bool(get_redis().eval(_RENEW, 1, self._key, self._token, ttl_ms))

    def release(self) -> None:
        """Give the lease back, if it is still ours."""
        get_redis().eval(_RELEASE, 1, self._key, self._token)

    def remaining_seconds(self) -> float:
        """Return how long the present owner, whoever it is, holds it at most; 0 when it is free."""
        remaining_ms = cast(int, get_redis().pttl(self._key))
        return max(0, remaining_ms) / 1000
