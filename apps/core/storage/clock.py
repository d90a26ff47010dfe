"""The clock of MongoDB's server. All hosts follow it: they store and compare its time.

The clocks of hosts should be synchronized. If one were off and were used, its leases would end too early or
too late for the others, and its cache entries would be fresh for too long or too short a time. PyMongo asks a
server for its state when it connects, before the first operation, and then every ten seconds; each reply has
the server's time. From it a process knows how far its own clock is off, also after a fork: both have the same
monotonic clock.

A reply that is read late makes the server's clock look slow. So of the last three replies the one with the
shortest delay counts. Less than :data:`IGNORED_SECONDS` cannot be told from a slow network and is not
corrected.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from pymongo import monitoring

from apps.core import process_state

IGNORED_SECONDS = 1.0
_SAMPLES = 3
_SPACING_SECONDS = 5.0


class ServerClock:
    """What one process knows of the server's clock."""

    def __init__(self) -> None:
        self._server: object = None
        # Each is the server's time minus our monotonic time. It is too small by the delay of the reply.
        self._samples: tuple[float, ...] = ()
        self._sampled_at = 0.0

    def note(self, server_time: float, *, server: object = None) -> None:
        """Note the time (Unix seconds) in a reply that has just been read; ``server`` names who sent it."""
        now = time.monotonic()
        sample = server_time - now
        # No lock, because a fork could copy it while it is held. When two threads get here at once, one
        # sample is lost.
        before = self._samples if server == self._server else ()
        # After a pause of this process, several late replies are read at once. They must not replace a better
        # sample.
        if before and now - self._sampled_at < _SPACING_SECONDS and sample <= max(before):
            return
        self._server, self._sampled_at = server, now
        self._samples = (*before, sample)[-_SAMPLES:]

    def forget(self) -> None:
        """Forget all replies: this host's own clock counts until the next one."""
        self._samples = ()

    @property
    def measured_ahead_seconds(self) -> float | None:
        """How far this host's clock is ahead of the server's (negative: behind); None before any reply."""
        samples = self._samples
        return time.time() - (time.monotonic() + max(samples)) if samples else None

    @property
    def ahead_seconds(self) -> float:
        """What to subtract from this host's clock to get the server's."""
        measured = self.measured_ahead_seconds or 0.0
        return measured if abs(measured) >= IGNORED_SECONDS else 0.0


mongo_clock = ServerClock()
process_state.register(mongo_clock.forget)


def unix_now() -> float:
    """Return the current time of MongoDB's server in Unix seconds; instants in Redis are compared with it."""
    return time.time() - mongo_clock.ahead_seconds


def server_now() -> datetime:
    """Return the current time of MongoDB's server, in UTC; the same instant as ``storage.mongo.utc_now``."""
    return datetime.fromtimestamp(unix_now(), UTC)


class ClockListener(monitoring.ServerHeartbeatListener):
    """Notes the time in PyMongo's heartbeats; of a replica set only its primary's, which gets the writes."""

    def __init__(self, clock: ServerClock) -> None:
        self._clock = clock

    def started(self, event: monitoring.ServerHeartbeatStartedEvent) -> None:
        """Do nothing."""

    def succeeded(self, event: monitoring.ServerHeartbeatSucceededEvent) -> None:
        """Note the time in the reply."""
        local_time: Any = event.reply.document.get("localTime")
        if event.reply.is_writable and isinstance(local_time, datetime):
            is_naive = local_time.tzinfo is None
            instant = local_time.replace(tzinfo=UTC) if is_naive else local_time
            self._clock.note(instant.timestamp(), server=event.connection_id)

    def failed(self, event: monitoring.ServerHeartbeatFailedEvent) -> None:
        """Do nothing."""
