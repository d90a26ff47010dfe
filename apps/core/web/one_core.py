"""Keeps the threads of a web process on one processor core, the least busy one (Linux).

Only one thread of a process can run Python at a time. When it hands over to a thread on another core, that
core has nothing of what the interpreter needs in its caches. Measured, answers take half of the time if all
of these threads share a core. The threads of the server that only send and receive stay free.

No process reserves a core: other processes may use it, also those of other installations. So
each process looks once a second whether others use its core, and goes to an idle one if there is any.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

logger = structlog.get_logger(__name__)

LOOK_SECONDS = 1.0
# The process moves if others used so much of its core, and less of another one.
MAX_USED_BY_OTHERS = 0.2
MIN_IDLE = 0.5
_STAT = Path("/proc/stat")
_TASKS = Path("/proc/self/task")


@dataclass(frozen=True, slots=True)
class Usage:
    """What was used up to ``at`` (monotonic seconds): ticks of each core, and seconds of our own threads."""

    at: float
    idle_ticks: Mapping[int, int]
    all_ticks: Mapping[int, int]
    own_seconds: float


class OneCore:
    """The WSGI application in front of ``application``."""

    def __init__(self, application: Any, *, cores: list[int], number: int) -> None:
        self._application = application
        self._cores = cores
        self.core = cores[number % len(cores)]
        self._of_thread = threading.local()
        self._thread_ids: set[int] = set()  # of the kernel

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer a request on the core of the process."""
        if getattr(self._of_thread, "core", None) != self.core:
            self._go_to_core()
        answer: Iterable[bytes] = self._application(environ, start_response)
        return answer

    def watch(self) -> None:
        """Start the thread that looks for a less busy core; if there can be none, the process stays."""
        with suppress(RuntimeError):
            threading.Thread(target=self._watch, name="one-core", daemon=True).start()

    def _go_to_core(self) -> None:
        core = self.core
        self._of_thread.core = core
        with suppress(OSError):  # an operator has taken the core away
            os.sched_setaffinity(0, {core})
        self._thread_ids.add(threading.get_native_id())

    def _watch(self) -> None:
        try:
            before = self._usage()
            while True:
                time.sleep(LOOK_SECONDS)
                now = self._usage()
                self.core = better_core(self.core, before, now)
                before = now
        except (OSError, ValueError, IndexError):
            # Some sandboxes do not show the usage of cores: the process stays where it is.
            logger.warning("core_not_watched", exc_info=True)

    def _usage(self) -> Usage:
        idle_ticks, all_ticks = {}, {}
        for line in _STAT.read_text().splitlines():
            name, *fields = line.split()
            if name.startswith("cpu") and name != "cpu" and (core := int(name[3:])) in self._cores:
                ticks = [int(one) for one in fields[:8]]  # user, nice, system, idle, iowait, ...
                idle_ticks[core], all_ticks[core] = ticks[3] + ticks[4], sum(ticks)
        return Usage(time.monotonic(), idle_ticks, all_ticks, self._own_seconds())

    def _own_seconds(self) -> float:
        nanoseconds = 0
        for thread_id in list(self._thread_ids):
            try:
                nanoseconds += int((_TASKS / str(thread_id) / "schedstat").read_text().split()[0])
            except FileNotFoundError:
                self._thread_ids.discard(thread_id)  # it has ended
        return nanoseconds / 1e9


def better_core(
    core: int, before: Usage, now: Usage, *, choose: Callable[[list[int]], int] = random.choice
) -> int:
    """Return the core to use from now on: the present one, unless others use it and another one is idle.

    Of several idle ones ``choose`` takes one: processes that leave a core together should not meet again.
    """
    idle = {
        one: (now.idle_ticks[one] - before.idle_ticks[one]) / passed
        for one in now.all_ticks.keys() & before.all_ticks.keys()
        if (passed := now.all_ticks[one] - before.all_ticks[one]) > 0
    }
    if core not in idle:
        return core
    own = max(0.0, now.own_seconds - before.own_seconds) / (now.at - before.at)
    most_idle = max(idle.values())
    if 1 - idle[core] - own <= MAX_USED_BY_OTHERS or most_idle < MIN_IDLE:
        return core
    return choose(sorted(one for one, share in idle.items() if share > most_idle - 0.1))


def on_one_core(application: Any, *, worker_count: int) -> Any:
    """Return the application, on one core if the system can do so.

    Not if all ``worker_count`` processes would leave no core to the threads that send, and to other programs:
    those could not choose any more, and nothing is won.
    """
    if sys.platform != "linux":
        return application
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) <= worker_count:
        return application
    # The number of the worker among those that its parent has started.
    number = next(iter(getattr(multiprocessing.current_process(), "_identity", ())), 1) - 1
    one_core = OneCore(application, cores=cores, number=number)
    one_core.watch()
    return one_core
