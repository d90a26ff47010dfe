"""Finds the processes of an installation by what they do, so that one of each kind can be killed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import psutil

from tests.chaos import schedule
from tests.integration.parts import Cluster


class ClusterRoles:
    """Knows which child of a sentinel is a worker, the monitor or the pusher.

    A sentinel starts them in this order. A child that replaces another one is younger than all, so what each
    was is remembered.
    """

    def __init__(self, cluster: Cluster, worker_count: int) -> None:
        self._cluster = cluster
        self._first_roles = [schedule.WORKER] * worker_count + [schedule.MONITOR, schedule.PUSHER]
        self._sentinel: psutil.Process | None = None
        self._roles: dict[int, str] = {}

    def look(self) -> None:
        """Note who is there; call it often enough to see one replacement at a time."""
        sentinel = self._cluster.sentinel()
        if sentinel != self._sentinel:
            self._sentinel, self._roles = sentinel, {}
        if sentinel is None:
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            children = sorted(sentinel.children(), key=lambda child: (child.create_time(), child.pid))
            if not self._roles:
                if len(children) == len(self._first_roles):
                    pids = [child.pid for child in children]
                    self._roles = dict(zip(pids, self._first_roles, strict=True))
                return
            present = [child.pid for child in children]
            free = [role for pid, role in self._roles.items() if pid not in present]
            kept = {pid: role for pid, role in self._roles.items() if pid in present}
            new = (pid for pid in present if pid not in kept)
            self._roles = kept | dict(zip(new, free, strict=False))

    def pids(self, role: str) -> list[int]:
        """Return the processes of this role, in the order of their pids; none while the cluster starts."""
        self.look()
        if role == schedule.SENTINEL:
            return [self._sentinel.pid] if self._sentinel is not None else []
        if role == schedule.WAITING:
            return [pid for pid in self.pids(schedule.WORKER) if _waits_in_pipe(pid)]
        return sorted(pid for pid, known in self._roles.items() if known == role)


def talking_to(cluster: Cluster, port: int) -> list[int]:
    """Return the processes of a cluster that have a connection to this port."""
    return [child.pid for child in cluster.children() if port in set(_remote_ports(child))]


def web_workers(web_pid: int, port: int) -> list[int]:
    """Return the processes of a web server that accept connections on this port, by pid."""
    found = []
    with contextlib.suppress(psutil.NoSuchProcess):
        for child in psutil.Process(web_pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if any(one.laddr.port == port for one in child.net_connections("tcp")):
                    found.append(child.pid)
    return sorted(found)


def _remote_ports(process: psutil.Process) -> Iterator[int]:
    with contextlib.suppress(psutil.Error):
        yield from (one.raddr.port for one in process.net_connections("tcp") if one.raddr)


def _waits_in_pipe(pid: int) -> bool:
    """Whether a process waits for a task: it holds the lock of the queue, which its death leaves locked."""
    try:
        return "pipe_read" in Path(f"/proc/{pid}/wchan").read_text()
    except OSError:
        return False
