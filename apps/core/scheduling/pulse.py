"""The pulse of a worker cluster shows the cluster itself that its workers run what it pulls.

django-q2 hands a task from process to process: the pusher pulls it from Redis, a worker runs it, the monitor
receives its result. Between them are queues with locks that the processes share. A process that is killed
while it holds such a lock leaves a cluster that lives, pulls tasks and runs none. So every few seconds the
*beat*, a task without effect, goes the whole way, and its arrival is noted here.
"""

from __future__ import annotations

import time
from multiprocessing.sharedctypes import RawValue
from typing import Any, cast

from django.utils import timezone
from django_q.cluster import Sentinel
from django_q.signals import post_execute
from django_q.signing import SignedPackage

BEAT_SECONDS = 1.5
BEAT_TASK = "apps.core.scheduling.pulse.beat"


def beat() -> None:
    """Do nothing; its run shows that the cluster works."""


def packed_beat() -> str:
    """Return the beat as django-q2 packs a task."""
    task = {"id": "beat", "name": "beat", "func": BEAT_TASK, "args": (), "kwargs": {}, "save": False}
    return cast(str, SignedPackage.dumps(task | {"started": timezone.now()}))


class Pulse:
    """What the processes of one cluster note about themselves, in memory that they share.

    Times are seconds of the monotonic clock, which all processes of a host share. Every value has one writer
    and no lock: a process that is killed while it holds a lock never releases it.
    """

    def __init__(self) -> None:
        now = time.monotonic()
        self._beat_at = RawValue("d", now)  # the monitor writes it
        self._beats = RawValue("L", 0)  # the monitor writes it
        self._idle_since = RawValue("d", now)  # the sentinel writes it; 0 while all workers are busy
        self._guarded_at = RawValue("d", now)  # the sentinel writes it

    @property
    def has_beaten(self) -> bool:
        """Whether a beat has ever arrived: the cluster began to work."""
        return bool(self._beats.value)

    @property
    def is_idle(self) -> bool:
        """Whether a worker has nothing to do."""
        return bool(self._idle_since.value)

    @property
    def idle_seconds(self) -> float:
        """For how long there has been a worker with nothing to do; 0 while all are busy."""
        return self._seconds_since(self._idle_since.value) if self.is_idle else 0.0

    @property
    def silent_seconds(self) -> float:
        """For how long no beat has arrived although a worker had nothing to do; 0 while all are busy."""
        return min(self.idle_seconds, self._seconds_since(self._beat_at.value))

    @property
    def unguarded_seconds(self) -> float:
        """For how long the sentinel has not checked its processes."""
        return self._seconds_since(self._guarded_at.value)

    def is_beat_due(self, sent_at: float) -> bool:
        """Whether to send the next beat; the last one was sent at ``sent_at``.

        While all workers are busy, only one beat is under way.
        """
        has_arrived = self._beat_at.value >= sent_at
        return self._seconds_since(sent_at) >= BEAT_SECONDS and (has_arrived or self.is_idle)

    def note_beat(self, *, task: dict[str, Any], **_kwargs: Any) -> None:
        """Note that a beat has arrived; the monitor calls it after every task."""
        if task["func"] == BEAT_TASK and task["success"]:
            self._beat_at.value = time.monotonic()
            self._beats.value += 1

    def note_workers(self, *, are_all_busy: bool) -> None:
        """Note that the sentinel is checking its processes, and whether a worker has nothing to do."""
        now = time.monotonic()
        self._guarded_at.value = now
        if are_all_busy:
            self._idle_since.value = 0.0
        elif not self.is_idle:
            self._idle_since.value = now

    @staticmethod
    def _seconds_since(instant: float) -> float:
        return max(0.0, time.monotonic() - instant)


class WatchedSentinel(Sentinel):  # type: ignore[misc]
    """django-q2's sentinel, which starts and replaces the other processes; it notes what the pulse needs."""

    def __init__(self, pulse: Pulse, *arguments: Any) -> None:
        self._pulse = pulse
        post_execute.connect(pulse.note_beat, weak=False, dispatch_uid="core.pulse")
        super().__init__(*arguments)  # returns when the cluster has stopped

    def status(self) -> str:
        """Return the status for people; django-q2 asks for it whenever it checks its processes."""
        # Read without the lock of the value: a worker may have been killed while it held the lock.
        timers = [worker.timer.get_obj().value for worker in self.pool]
        self._pulse.note_workers(are_all_busy=bool(timers) and min(timers) > 0)
        return cast(str, super().status())
