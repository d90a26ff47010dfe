"""The cache of callers: the state of tokens and users, fresh for a moment and usable while MongoDB is down.

Every request with a token looks its caller up here. A state is fresh for ``FRESH_SECONDS``; after that it is
read from MongoDB again. When MongoDB does not respond, the copy in Redis is used (shared, signed, at most an
hour old), or else the last state that this process has read.

A revocation sets a key of its own in Redis, which outlives every copy. So no process can overwrite it with a
state that it read just before, and none accepts the token from its memory while MongoDB is down. The change
of a user sets such a key, too: it holds the new state, so the former password and rights end, and the new
ones count.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime

import pymongo
import redis
import structlog
from cachetools import TTLCache
from django.conf import settings
from django.core import signing
from django.db import Error as DatabaseError
from pymongo.errors import PyMongoError

from apps.auth.choices import TokenScope
from apps.core import process_state
from apps.core.caching.read_through import build_or_recall
from apps.core.storage.redis import KEY_PREFIX, tolerate_redis_outage

logger = structlog.get_logger(__name__)

FRESH_SECONDS = 0.8  # a revocation must take effect everywhere within one second
LAST_KNOWN_SECONDS = 3600
COPY_EVERY_SECONDS = 60
MAX_CALLERS = 10_000
# It signs the copies in Redis and must not change: the stored copies would not be valid any more.
_SALT = "apps.auth.facts"
_CHANGES = f"{KEY_PREFIX}auth:changes"  # counts the changes of users
_NOBODY = "nobody "  # no signed state: it refuses the user


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerState:
    """The state of one API token or one user; ``is_enabled`` is false once revoked or deactivated."""

    id: str
    name: str
    scope: TokenScope
    is_enabled: bool
    expires_at: datetime | None = None
    password_mark: str = ""
    # What the mark is with the keys of SECRET_KEY_PREVIOUS.
    previous_password_marks: tuple[str, ...] = ()
    permissions: tuple[str, ...] = ()
    has_all_permissions: bool = False

    def has_password_mark(self, mark: str) -> bool:
        """Whether the user still has the password that had this mark at a login."""
        return mark in (self.password_mark, *self.previous_password_marks)

    def to_signed_text(self) -> str:
        """Return the state as a signed text, which :meth:`from_signed_text` reads."""
        values = asdict(self)
        values["expires_at"] = self.expires_at and self.expires_at.isoformat()
        if not self.previous_password_marks:  # processes of earlier releases do not know this field
            del values["previous_password_marks"]
        return signing.dumps(values, salt=_SALT)

    @classmethod
    def from_signed_text(cls, text: str) -> CallerState:
        """Return the state that a signed text holds.

        :raises signing.BadSignature: when the signature is not valid, or the text is older than an hour.
        """
        values = signing.loads(text, salt=_SALT, max_age=LAST_KNOWN_SECONDS)
        values["scope"] = TokenScope(values["scope"])
        values["permissions"] = tuple(values["permissions"])
        values["previous_password_marks"] = tuple(values.get("previous_password_marks", ()))
        values["expires_at"] = values["expires_at"] and datetime.fromisoformat(values["expires_at"])
        return cls(**values)


class CallerUnknownError(Exception):
    """MongoDB does not respond, and the caller is not cached."""


class Reading:
    """A state as it was read; ``read_at`` is the time from before the read, on the cache's timer."""

    __slots__ = ("read_at", "state")

    def __init__(self, state: CallerState | None, read_at: float) -> None:
        self.state = state
        self.read_at = read_at


class Acceptance:
    """That a caller was accepted until ``expires_at``, because its token or user had this ``state``."""

    def __init__(
        self,
        key: str,
        load: Callable[[], CallerState | None],
        *,
        state: CallerState,
        expires_at: datetime,
        cache: CallerCache | None = None,
    ) -> None:
        self._cache = cache or known_callers
        self._key = key
        self._load = load
        self._state = state
        self._expires_at_unix = expires_at.timestamp()
        self._reading: Reading | None = None  # the last one that had this state

    def holds(self, now: float) -> bool:
        """Whether the caller would be accepted again now (Unix seconds); decided from memory."""
        if self._reading is None or not self._cache.is_fresh(self._reading):
            newest = self._cache.newest(self._key)
            if newest is None or newest.state != self._state:
                return False
            self._reading = newest
        return now < self._expires_at_unix

    def renew(self) -> None:
        """Read the state anew if it will soon be too old.

        :raises CallerUnknownError: when MongoDB does not respond and the caller is not cached.
        """
        self._cache.look_up(self._key, self._load, max_age_seconds=FRESH_SECONDS / 2)


class CallerCache:
    """The states of tokens and users that one process has read; safe between threads."""

    def __init__(self, *, timer: Callable[[], float] = time.monotonic) -> None:
        self._timer = timer
        self._lock = threading.Lock()
        self._fresh: TTLCache[str, Reading] = TTLCache(MAX_CALLERS, FRESH_SECONDS, timer)
        self._last_known: TTLCache[str, CallerState] = TTLCache(MAX_CALLERS, LAST_KNOWN_SECONDS, timer)
        self._copied: TTLCache[str, CallerState] = TTLCache(MAX_CALLERS, COPY_EVERY_SECONDS, timer)

    def look_up(
        self, key: str, load: Callable[[], CallerState | None], *, max_age_seconds: float = FRESH_SECONDS
    ) -> CallerState | None:
        """Return the state of a token or user, or None when it does not exist.

        :param load: reads the state from MongoDB.
        :raises CallerUnknownError: when MongoDB does not respond and the caller is not cached.
        """
        now = self._timer()
        with self._lock:
            read = self._fresh.get(key)
        # The age counts from before the read: a slow read may return a state that is already old.
        if read is None or now - read.read_at >= max_age_seconds:
            read = Reading(self._load_or_recall(key, load), now)
            with self._lock:
                self._outdate(key)
                self._fresh[key] = read
        return read.state

    def is_fresh(self, reading: Reading) -> bool:
        """Whether a state was read so lately that it may still be used."""
        return self._timer() - reading.read_at < FRESH_SECONDS

    def newest(self, key: str) -> Reading | None:
        """Return the state that was read last, None when it is too old to be used or was revoked."""
        with self._lock:
            reading = self._fresh.get(key)
        return reading if reading is not None and self.is_fresh(reading) else None

    def mark_revoked(self, key: str) -> None:
        """Drop a revoked token from the cache, and let no process accept it while MongoDB is down."""
        with self._lock:
            self._outdate(key)
            for known in (self._fresh, self._last_known, self._copied):
                known.pop(key, None)

        def mark(client: redis.Redis) -> None:
            client.set(_revoked_key(key), "1", ex=LAST_KNOWN_SECONDS + COPY_EVERY_SECONDS)
            client.delete(_copy_key(key))

        tolerate_redis_outage(mark, None, must_try=True)

    def mark_changed(self, key: str, load: Callable[[], CallerState | None]) -> None:
        """Let every process use the state that MongoDB has now, also while MongoDB is down.

        Call it after each change of a user. If MongoDB does not respond any more, the user is refused until
        it does.
        """
        with self._lock:
            self._outdate(key)
            for known in (self._fresh, self._last_known, self._copied):
                known.pop(key, None)

        def mark(client: redis.Redis) -> None:
            # Numbered before the read: of two changes at once, the later number has read both.
            number = client.incr(_CHANGES)
            try:
                with pymongo.timeout(settings.AUTH_TIMEOUT_SECONDS):
                    state = load()
            except (DatabaseError, PyMongoError) as error:
                logger.warning("changed_user_not_read", error=type(error).__name__)
                state = None
            text = state.to_signed_text() if state is not None else f"{_NOBODY}{number}"
            with client.pipeline() as pipe:
                pipe.zadd(_changed_key(key), {text: number})
                pipe.zremrangebyrank(_changed_key(key), 0, -2)
                pipe.expire(_changed_key(key), LAST_KNOWN_SECONDS + COPY_EVERY_SECONDS)
                pipe.execute()

        tolerate_redis_outage(mark, None, must_try=True)

    def clear(self) -> None:
        """Drop every state that this process has cached."""
        with self._lock:
            for known in (self._fresh, self._last_known, self._copied):
                known.clear()

    def _outdate(self, key: str) -> None:
        """Let those who hold the newest reading look for a newer one, so that all see the same state."""
        if (reading := self._fresh.get(key)) is not None:
            reading.read_at = float("-inf")

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
        shared = tolerate_redis_outage(lambda client: _read_shared(client, key), ("", "", ""))
        revoked, changed, copy = shared
        if revoked:
            return None
        if changed:
            try:
                return CallerState.from_signed_text(changed)
            except signing.BadSignature:  # it could not be read, or is older than any copy may be
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
    """Return the cache key of an API token."""
    return token_hash


def user_key(user_id: str) -> str:
    """Return the cache key of a user."""
    return f"user:{user_id}"


def _copy_key(key: str) -> str:
    return f"{KEY_PREFIX}auth:{key}"


def _revoked_key(key: str) -> str:
    return f"{KEY_PREFIX}auth:revoked:{key}"


def _changed_key(key: str) -> str:
    return f"{KEY_PREFIX}auth:changed:{key}"


def _read_shared(client: redis.Redis, key: str) -> tuple[str, str, str]:
    with client.pipeline(transaction=False) as pipe:
        pipe.mget(_revoked_key(key), _copy_key(key))
        pipe.zrange(_changed_key(key), -1, -1)
        (revoked, copy), changed = pipe.execute()
    return _text_of(revoked), _text_of(changed[0] if changed else None), _text_of(copy)


def _text_of(value: bytes | None) -> str:
    return (value or b"").decode("ascii", "replace")
