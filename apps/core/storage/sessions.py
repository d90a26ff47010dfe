"""Sessions in MongoDB with a copy in Redis, like Django's ``cached_db``; they survive an outage of Redis."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from django.conf import settings
from django.contrib.sessions.backends.cached_db import SessionStore as CachedSessionStore
from django.core.cache import caches

from apps.core.storage.redis import tolerate_redis_outage

T = TypeVar("T")


class _TolerantCache:
    """The cache, where a failure counts as a miss: MongoDB has the session."""

    def __init__(self, cache: Any) -> None:
        self._cache = cache

    def get(self, key: str, default: Any = None) -> Any:
        """Return the copy, or the default."""
        return _tolerate(lambda: self._cache.get(key, default), default)

    def set(self, key: str, value: Any, timeout: int | None = None) -> None:
        """Store a copy."""
        _tolerate(lambda: self._cache.set(key, value, timeout), None)

    def delete(self, key: str) -> None:
        """Delete the copy."""
        _tolerate(lambda: self._cache.delete(key), None)

    def __contains__(self, key: str) -> bool:
        return _tolerate(lambda: key in self._cache, False)


class SessionStore(CachedSessionStore):
    """The store named by ``SESSION_ENGINE``."""

    _keeps_key = False

    def __init__(self, session_key: str | None = None) -> None:
        super().__init__(session_key)
        self._cache: Any = _TolerantCache(caches[settings.SESSION_CACHE_ALIAS])

    @contextlib.contextmanager
    def keeping_key(self) -> Iterator[None]:
        """Keep the key of the session for a moment: :meth:`cycle_key` has no effect."""
        self._keeps_key = True
        try:
            yield
        finally:
            self._keeps_key = False

    def cycle_key(self) -> None:
        """Give the session another key, as a login does."""
        if not self._keeps_key:
            super().cycle_key()

    @classmethod
    def get_model_class(cls) -> Any:
        """Return Django's model of sessions."""
        return CachedSessionStore.get_model_class()


def _tolerate(operation: Callable[[], T], default: T) -> T:
    return tolerate_redis_outage(lambda _: operation(), default)
