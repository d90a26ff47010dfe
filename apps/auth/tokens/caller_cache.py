"""What is known of tokens and users: fresh for a moment, and a last known state while MongoDB is down.

Every request with a token asks here. Within ``FRESH_SECONDS`` an earlier answer is used again; after that
MongoDB is asked. When MongoDB does not answer, the copy in Redis (shared, signed, at most an hour old) or
else this process's own last answer is used, so that what can be served without MongoDB is served.

A revocation leaves a mark in Redis of its own, longer than any copy lives: no process can overwrite it
with what it read a moment before, and none accepts the token from its memory while MongoDB is down.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import NamedTuple, cast

import pymongo
import redis
import structlog
from cachetools import TTLCache
from django.conf import settings
from django.core import signing

from apps.auth.choices import TokenScope
from apps.core import process_state
from apps.core.caching.read_through import build_or_recall
from apps.core.storage.redis import KEY_PREFIX, tolerate_redis_outage

logger = structlog.get_logger(__name__)

FRESH_SECONDS = 0.8  # a revocation is promised to hold everywhere within one second
LAST_KNOWN_SECONDS = 3600
COPY_EVERY_SECONDS = 60
MAX_CALLERS = 10_000
# Copies of state in Redis are signed with it: it stays what it was when they were written.
_SALT = "apps.auth.facts"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerState:
    """The state of one API token or one user; ``is_enabled`` is false once revoked or deactivated."""

    id: str
    name: str
    scope: TokenScope
    is_enabled: bool
    expires_at: datetime | None = None
    password_mark: str = ""
    permissions: tuple[str, ...] = ()
    has_all_permissions: bool = False

    def to_signed_text(self) -> str:
        """Return a text that :meth:`from_signed_text` reads, and that only we can write."""
        values = asdict(self)
        values["expires_at"] = self.expires_at and self.expires_at.isoformat()
        return signing.dumps(values, salt=_SALT)

    @classmethod
    def from_signed_text(cls, text: str) -> CallerState:
        """Read a copy.

        :raises signing.BadSignature: when it is not ours, or older than an hour.
        """
        values = signing.loads(text, salt=_SALT, max_age=LAST_KNOWN_SECONDS)
        values["scope"] = TokenScope(values["scope"])
        values["permissions"] = tuple(values["permissions"])
        values["expires_at"] = values["expires_at"] and datetime.fromisoformat(values["expires_at"])
        return cls(**values)


class CallerUnknownError(Exception):
    """MongoDB does not answer, and nothing is remembered."""


class _Read(NamedTuple):
    state: CallerState | None
    read_at: float


class CallerCache:
    """One process's knowledge of tokens and users; safe between threads."""

    def __init__(self, *, timer: Callable[[], float] = time.monotonic) -> None:
        self._timer = timer
        self._lock = threading.Lock()
        self._fresh: TTLCache[str, _Read] = TTLCache(MAX_CALLERS, FRESH_SECONDS, timer)
        self._last_known: TTLCache[str, CallerState] = TTLCache(MAX_CALLERS, LAST_KNOWN_SECONDS, timer)
        self._copied: TTLCache[str, CallerState] = TTLCache(MAX_CALLERS, COPY_EVERY_SECONDS, timer)

    def look_up(self, key: str, load: Callable[[], CallerState | None]) -> CallerState | None:
        """Return the state, or None when there is no such token or user.

        :raises CallerUnknownError: when MongoDB does not answer and nothing is remembered.
        """
        now = self._timer()
        with self._lock:
            read = self._fresh.get(key)
        # Counted from before the question: a slow answer is old when it arrives.
        if read is None or now - read.read_at >= FRESH_SECONDS:
            read = _Read(self._load_or_recall(key, load), now)
            with self._lock:
                self._fresh[key] = read
        return read.state

    def mark_revoked(self, key: str) -> None:
        """Refuse the token from now on, here at once and elsewhere even while MongoDB is down."""
        with self._lock:
            for known in (self._fresh, self._last_known, self._copied):
                known.pop(key, None)

        def leave_mark(client: redis.Redis) -> None:
            client.set(_revoked_key(key), "1", ex=LAST_KNOWN_SECONDS + COPY_EVERY_SECONDS)
            client.delete(_copy_key(key))

        tolerate_redis_outage(leave_mark, None, must_try=True)

    def clear(self) -> None:
        """Forget everything this process knows."""
        with self._lock:
            for known in (self._fresh, self._last_known, self._copied):
                known.clear()

    def _load_or_recall(self, key: str, load: Callable[[], CallerState | None]) -> CallerState | None:
        def build() -> CallerState | None:
            with pymongo.timeout(settings.AUTH_TIMEOUT_SECONDS):
                state = load()
            self._remember(key, state)
            return state

        return build_or_recall(build, lambda: self._recall(key), event="auth_lookup_without_mongodb")

    def _remember(self, key: str, state: CallerState | None) -> None:
        with self._lock:
            was_known = self._last_known.pop(key, None) is not None
            is_copied = state is not None and self._copied.get(key) == state
            if state is not None:
                self._last_known[key] = state
        if state is None:
            if was_known:
                tolerate_redis_outage(lambda client: client.delete(_copy_key(key)), None)
        elif not is_copied:
            text = state.to_signed_text()
            if tolerate_redis_outage(
                lambda client: client.set(_copy_key(key), text, ex=LAST_KNOWN_SECONDS), None
            ):
                with self._lock:
                    self._copied[key] = state

    def _recall(self, key: str) -> CallerState | None:
        revoked, copy = tolerate_redis_outage(lambda client: _read_shared(client, key), ("", ""))
        if revoked:
            return None
        if copy:
            with contextlib.suppress(signing.BadSignature):
                return CallerState.from_signed_text(copy)
        with self._lock:
            known = self._last_known.get(key)
        if known is None:
            raise CallerUnknownError
        return known


known_callers = CallerCache()
process_state.register(known_callers.clear)


def token_key(token_hash: str) -> str:
    """Return the key of an API token's state."""
    return token_hash


def user_key(user_id: str) -> str:
    """Return the key of a user's state."""
    return f"user:{user_id}"


def _copy_key(key: str) -> str:
    return f"{KEY_PREFIX}auth:{key}"


def _revoked_key(key: str) -> str:
    return f"{KEY_PREFIX}auth:revoked:{key}"


def _read_shared(client: redis.Redis, key: str) -> tuple[str, str]:
    values = cast(list[bytes | None], client.mget(_revoked_key(key), _copy_key(key)))
    revoked, copy = ((value or b"").decode("ascii", "replace") for value in values)
    return revoked, copy
