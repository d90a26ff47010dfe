"""The rate limit of logins: per address and per user, in a moving window that all processes share."""

from __future__ import annotations

import hashlib
import ipaddress
import math
import time
import unicodedata

import redis
import structlog
from django.utils.translation import gettext as _
from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import MovingWindowRateLimiter

from apps.core import process_state
from apps.core.errors import RateLimited
from apps.core.storage import redis as core_redis
from apps.core.storage.outages import redis_outage

logger = structlog.get_logger(__name__)

LOGIN_LIMIT: RateLimitItem = RateLimitItemPerMinute(10)
MAX_LOCAL_KEYS = 10_000
_IPV6_NETWORK_BITS = 64


def count_login_attempt(*, username: str, address: str) -> None:
    """Count one login attempt of the address and one of the user.

    :raises RateLimited: when either has no attempt left; it has the seconds until the next is allowed.
    """
    count_address_attempt(address)
    _check("login-user", _username_key(username))


def count_address_attempt(address: str) -> None:
    """Count one login attempt of the address.

    :raises RateLimited: when it has no attempt left; it has the seconds until the next is allowed.
    """
    _check("login-address", _address_key(address))


def _check(*identifiers: str) -> None:
    retry_after_seconds = _count(*identifiers)
    if retry_after_seconds is not None:
        raise RateLimited(
            _("Too many login attempts. Try again later."), retry_after_seconds=retry_after_seconds
        )


def _count(*identifiers: str) -> int | None:
    """Count one attempt; return None when it is allowed, else the seconds until the next one is.

    While Redis is down, each process counts by itself: the limit is less strict, but still there.
    """
    if not redis_outage.is_known:
        try:
            return core_redis.watch_redis(lambda: _count_with(_shared_limiter(), *identifiers))
        except redis.RedisError as error:
            logger.warning("login_limit_is_local", error=type(error).__name__)
    return _count_with(_local_limiter(), *identifiers)


def _count_with(limiter: MovingWindowRateLimiter, *identifiers: str) -> int | None:
    if limiter.hit(LOGIN_LIMIT, *identifiers):
        return None
    wait_seconds = limiter.get_window_stats(LOGIN_LIMIT, *identifiers).reset_time - time.time()
    return min(max(1, math.ceil(wait_seconds)), LOGIN_LIMIT.get_expiry())


def _shared_limiter() -> MovingWindowRateLimiter:
    # The connection pool of the process has short timeouts; a pool of the limiter would not.
    pool = core_redis.get_redis().connection_pool
    return MovingWindowRateLimiter(
        RedisStorage("redis://", connection_pool=pool, key_prefix=f"{core_redis.KEY_PREFIX}throttle")
    )


def _local_limiter() -> MovingWindowRateLimiter:
    storage = local_storage()
    if len(storage.events) > MAX_LOCAL_KEYS:
        _drop_windows(storage)
    return MovingWindowRateLimiter(storage)


def _drop_windows(storage: MemoryStorage) -> None:
    """Drop expired windows, and then the oldest until half of the maximum is left.

    The library drops none of them, so invented names and addresses would fill the memory.
    """
    now = time.time()
    # The newest entry of a window is the first.
    expired = [key for key, entries in list(storage.events.items()) if entries and entries[0].expiry <= now]
    _forget(storage, expired)
    if len(storage.events) > MAX_LOCAL_KEYS:
        _forget(storage, list(storage.events)[: -(MAX_LOCAL_KEYS // 2)])


def _forget(storage: MemoryStorage, keys: list[str]) -> None:
    for key in keys:
        with storage.locks[key]:  # not while an attempt is being counted
            storage.clear(key)


@process_state.made_once
def local_storage() -> MemoryStorage:
    """Return the counters that this process uses while Redis does not respond."""
    return MemoryStorage()


def _address_key(address: str) -> str:
    """Return the address to count by: for IPv6 its network, since one host may use all of it."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed.packed, _IPV6_NETWORK_BITS), strict=False))
    return str(parsed)


def _username_key(username: str) -> str:
    folded = unicodedata.normalize("NFKC", username).casefold()
    return hashlib.sha256(folded.encode("utf-8", "surrogatepass")).hexdigest()[:32]
