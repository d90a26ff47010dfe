"""An installation of its own for one trial, under a process manager that starts again what was killed."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil

from apps.launcher.embedded import EmbeddedServer
from apps.launcher.embedded.mongo import MONGO
from apps.launcher.embedded.redis import REDIS
from apps.launcher.ports import url_responds
from apps.launcher.processes import ManagedProcess
from apps.mengla.simulator.state import SimulatorConfig
from tests.chaos import schedule
from tests.chaos.roles import ClusterRoles, talking_to, web_workers
from tests.chaos.schedule import Fault
from tests.chaos.service import Service
from tests.integration.databases import OwnServers
from tests.integration.stack import NEVER, Shape, Stack, secret

RESTART_SECONDS = 2.0  # what a process manager waits, as docs/operations.md recommends
INTERVAL_SECONDS = 0.15
SLOTS = 4
TIMEOUT_SECONDS = 5
REQUEST_TIMEOUT_SECONDS = 2
BREAKER_SECONDS = 3
WAITING_PER_CALLER = 15
SHAPE = Shape(
    web_workers=4,
    web_threads=8,
    clusters=2,
    queue_workers=3,
    variables={
        "COLLECT_INTERVAL_SECONDS": str(INTERVAL_SECONDS),
        "COLLECT_MAX_ATTEMPTS": "4",
        "COLLECT_REQUEST_TIMEOUT_SECONDS": str(REQUEST_TIMEOUT_SECONDS),
        "COLLECT_RETRY_DELAY_SECONDS": "0.5",
        "MAX_INFLIGHT_REQUESTS": str(SLOTS),
        "MAX_WAITING_PER_CALLER": str(WAITING_PER_CALLER),
        "MENGLA_TIMEOUT_SECONDS": str(TIMEOUT_SECONDS),
        "CB_FAILURE_THRESHOLD": "5",
        "CB_SUCCESS_THRESHOLD": "2",
        "CB_TIMEOUT": str(BREAKER_SECONDS),
        "EMPTY_TTL_SECONDS": "2",
        "CRON_ALERT_CHECK": NEVER,
    },
)
_READY_POLL_SECONDS = 0.1


@dataclass(eq=False)
class Outage:
    """The time in which a fault works, in seconds since 1970; ``ended`` is None while it does."""

    target: str
    began: float
    ended: float | None = None

    def overlaps(self, began: float, ended: float, *, grace_seconds: float = 0.0) -> bool:
        """Whether it was on in this time, or had ended less than ``grace_seconds`` before."""
        return self.began <= ended and (self.ended is None or began <= self.ended + grace_seconds)


@dataclass(frozen=True)
class Part:
    """A process that is started again, with what has to be done before, and the check that it works."""

    target: str
    process: ManagedProcess
    is_ready: Callable[[], bool]
    prepare: Callable[[], object] = lambda: None


class Installation(Stack):
    """A stack whose parts may be killed and stopped; call :meth:`watch` often, in the main thread."""

    databases: OwnServers
    simulator: Service

    def __init__(self, seed: int, directory: Path, *, next_port: Callable[[], int], shape: Shape) -> None:
        self.seed = seed
        self._service_port = next_port()
        self._service_directory = directory
        servers = OwnServers(directory / "servers", next_port=next_port)
        super().__init__("chaos", directory, shape, databases=servers, next_port=next_port)
        self.outages: list[Outage] = []
        self.strays: set[int] = set()  # processes that must end with the killed one that started them
        self._dead_since: dict[str, float] = {}
        self._paused_until: list[tuple[float, list[EmbeddedServer], Outage]] = []
        self._parts: dict[str, Part] = {}
        self._recovering: list[threading.Thread] = []

    def _make_simulator(self) -> Service:
        config = SimulatorConfig(
            env="test", api_key=secret(), webhook_secret=secret(), seed=self.seed, port=self._service_port
        )
        return Service(config, self._service_directory, self.databases)

    def _start(self) -> None:
        super()._start()
        self.roles = [ClusterRoles(cluster, self.shape.queue_workers) for cluster in self.clusters]
        mongo, redis = self.databases.mongo, self.databases.redis
        dump = redis.data_dir / "dump.rdb"
        parts = [
            Part(schedule.WEB, self.web.process, partial(url_responds, f"{self.url}/health")),
            Part(schedule.SERVICE, self.simulator.process, self.simulator.is_ready, self.simulator.prepare),
            Part(schedule.MONGO, _process_of(mongo), partial(MONGO.make_ready, mongo.port)),
            Part(
                schedule.REDIS,
                _process_of(redis),
                partial(REDIS.make_ready, redis.port),
                partial(dump.unlink, missing_ok=True),
            ),
        ]
        parts += [
            Part(_cluster(number), cluster.process, lambda cluster=cluster: cluster.works())
            for number, cluster in enumerate(self.clusters)
        ]
        self._parts = {part.target: part for part in parts}
        for roles in self.roles:
            roles.look()

    def close(self) -> None:
        """Stop everything; what is paused goes on first, otherwise it could not stop."""
        self._resume(everything=True)
        # A killed part may just be starting again in its own time.
        for thread in getattr(self, "_recovering", []):
            thread.join(_READY_POLL_SECONDS)
        super().close()

    # --- The process manager ----------------------------------------------------------------------

    def watch(self) -> None:
        """Start again what has been dead long enough, and let go on what has been paused long enough."""
        self._resume()
        now = time.time()
        for part in self._parts.values():
            if part.process.is_alive():
                continue
            since = self._dead_since.setdefault(part.target, now)
            if now - since >= RESTART_SECONDS:
                del self._dead_since[part.target]
                part.prepare()
                part.process.start()
                self._note_recovery(part)
        for roles in self.roles:
            roles.look()

    def is_whole(self) -> bool:
        """Whether no fault is at work any more."""
        return all(one.ended is not None for one in self.outages)

    def _note_recovery(self, part: Part) -> None:
        """Note when a part that was started again is ready, from a thread."""

        def wait() -> None:
            while part.process.is_alive() and not part.is_ready():
                time.sleep(_READY_POLL_SECONDS)
            if part.process.is_alive():
                now = time.time()
                for outage in self.outages:
                    if outage.target == part.target and outage.ended is None and outage.began < now:
                        outage.ended = now

        thread = threading.Thread(target=wait, name=f"recovery of {part.target}", daemon=True)
        thread.start()
        self._recovering.append(thread)

    def _resume(self, *, everything: bool = False) -> None:
        now = time.time()
        due = [one for one in self._paused_until if everything or one[0] <= now]
        self._paused_until = [one for one in self._paused_until if one not in due]
        for _, servers, outage in due:
            still = {id(server) for _, others, _ in self._paused_until for server in others}
            for server in servers:
                if id(server) not in still:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(_process_of(server).pid, signal.SIGCONT)
            outage.ended = time.time()

    # --- Faults -----------------------------------------------------------------------------------

    def break_something(self, fault: Fault) -> str:
        """Let a fault happen; returns what was hit, for people."""
        if fault.how == schedule.PAUSE:
            return self._pause(fault)
        if fault.target == schedule.CLUSTERS:
            return ", ".join(self._kill_part(_cluster(number)) for number in range(len(self.clusters)))
        if fault.target in self._parts:
            return self._kill_part(fault.target)
        if fault.target == schedule.CLUSTER:
            return self._kill_part(_cluster(fault.choice % len(self.clusters)))
        pids = self._candidates(fault)
        if not pids:
            return f"no {fault.target} there"
        pid = pids[fault.choice % len(pids)]
        now = time.time()
        # Others of its kind go on, so the fault is over when the process is dead.
        outage = Outage(fault.target, now)
        self.outages.append(outage)
        with contextlib.suppress(ProcessLookupError):
            self._note_strays(pid)
            os.kill(pid, signal.SIGKILL)
        outage.ended = time.time()
        return f"{fault.target} {pid}"

    def _candidates(self, fault: Fault) -> list[int]:
        if fault.target == schedule.WEB_WORKER:
            return web_workers(self.web.process.pid, int(self.url.rpartition(":")[2]))
        if fault.target == schedule.DISPATCHER:
            found = [pid for one in self.clusters for pid in talking_to(one, self.simulator.port)]
            return found or [pid for one in self.roles for pid in one.pids(schedule.WORKER)]
        first = fault.choice % len(self.roles)
        return self.roles[first].pids(fault.target) or self.roles[1 - first].pids(fault.target)

    def _kill_part(self, target: str) -> str:
        process = self._parts[target].process
        if not process.is_alive():
            return f"{target} is dead already"
        began = time.time()
        peers = [one for one in self.clusters if one.process is not process and one.works()]
        outage = Outage(target, began)
        self.outages.append(outage)
        pid = process.pid
        self._note_strays(pid)
        os.kill(pid, signal.SIGKILL)
        process.wait(10)
        if target in {_cluster(number) for number in range(len(self.clusters))} and peers:
            outage.ended = time.time()  # the other cluster goes on
        return f"{target} {pid}"

    def _note_strays(self, pid: int) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            self.strays |= {child.pid for child in psutil.Process(pid).children(recursive=True)}

    def _pause(self, fault: Fault) -> str:
        wanted = {
            schedule.MONGO: [self.databases.mongo],
            schedule.REDIS: [self.databases.redis],
            schedule.BOTH: [self.databases.mongo, self.databases.redis],
        }[fault.target]
        servers = [one for one in wanted if _process_of(one).is_alive()]
        if not servers:
            return f"{fault.target} is dead"
        outage = Outage(fault.target, time.time())
        self.outages.append(outage)
        for server in servers:
            os.kill(_process_of(server).pid, signal.SIGSTOP)
        self._paused_until.append((outage.began + fault.seconds, servers, outage))
        return f"{fault.target} paused"

    # --- What was down when -----------------------------------------------------------------------

    def was_down(self, target: str, began: float, ended: float, *, grace_seconds: float) -> bool:
        """Whether a part was down in this time or shortly before; both servers count as each of them."""
        return any(one.overlaps(began, ended, grace_seconds=grace_seconds) for one in self.outages_of(target))

    def outages_of(self, target: str) -> Iterator[Outage]:
        """Yield the outages of a part."""
        names = {target, schedule.BOTH} if target in (schedule.MONGO, schedule.REDIS) else {target}
        yield from (one for one in self.outages if one.target in names)

    def living_strays(self) -> list[int]:
        """Return the processes that outlive the killed one that started them."""
        ours = {child.pid for child in psutil.Process().children(recursive=True)}
        return sorted(pid for pid in self.strays if pid not in ours and psutil.pid_exists(pid))


def _process_of(server: EmbeddedServer) -> ManagedProcess:
    assert isinstance(server.process, ManagedProcess)
    return server.process


def _cluster(number: int) -> str:
    return f"cluster {number + 1}"
