"""Renews what answers rest on, before a reader has to: the news of L1, and the states of callers seen lately.

Without it readers renew what they need themselves; they only wait for it.
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Protocol

import structlog

from apps.core.caching.tiers import TieredCache

logger = structlog.get_logger(__name__)

_RENEW_SECONDS = 0.1
_RENEWAL_LIMIT_SECONDS = 0.2  # callers that are not renewed in this time go the whole way
_IDLE_SECONDS = 10.0  # a process that has answered nothing so for so long does not catch up any more


class Caller(Protocol):
    """The caller of a request, as far as its acceptance goes."""

    def is_accepted(self, now: float) -> bool:
        """Whether the caller is accepted now (Unix seconds) as before; decided from memory."""

    def renew(self) -> None:
        """Read the caller's state anew if it will soon be too old, and note the use of its token."""


class Renewal:
    """The thread that does so; it runs from the first :meth:`start` on."""

    def __init__(self) -> None:
        self._callers: set[Caller] = set()
        self._tiers: TieredCache | None = None
        self._used_at = 0.0
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()

    def note_use(self, caller: Caller, tiers: TieredCache) -> None:
        """Note that a request of this caller was answered because of what was read before."""
        self._callers.add(caller)
        self._tiers = tiers

    def start(self) -> None:
        """Start the thread, if it does not run; if there can be no more threads now, the next call tries."""
        if self._thread is not None:
            return
        with self._lock:
            if self._thread is None:
                thread = threading.Thread(target=self._renew, name="renewal", daemon=True)
                with contextlib.suppress(RuntimeError):
                    thread.start()
                    self._thread = thread

    def stop(self) -> None:
        """End the thread, and wait for its end."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _renew(self) -> None:
        while not self._stop.wait(_RENEW_SECONDS):
            try:
                self._renew_once(time.monotonic())
            except Exception:
                # Readers renew what they need themselves; without this thread they only wait for it.
                logger.exception("renewal_failed")

    def _renew_once(self, now: float) -> None:
        callers, self._callers = self._callers, set()
        if callers:
            self._used_at = now
        if self._tiers is None or now - self._used_at > _IDLE_SECONDS:
            return
        self._tiers.keep_up()
        for caller in list(callers):
            if time.monotonic() - now > _RENEWAL_LIMIT_SECONDS:
                return
            caller.renew()
            self._tiers.keep_up()
