"""Supervises a worker cluster: replaces one that does not work, and loses none of the tasks it had pulled.

A cluster is replaced when its workers run nothing although one is idle, or when its first process, the
sentinel, has ended or stands still. The sentinel replaces the other processes when they end.
"""

from __future__ import annotations

import os
import signal
import time
import uuid
from multiprocessing import Event, get_context

import structlog
from django.conf import settings
from django.core.management.base import CommandError
from django.utils.translation import gettext as _

from apps.core.liveness import processes
from apps.core.scheduling.cluster_broker import ClusterBroker
from apps.core.scheduling.pulse import Pulse, WatchedSentinel
from apps.core.scheduling.signals import worker_idle
from apps.core.scheduling.task_claims import release_claims
from apps.core.storage.mongo import close_client
from apps.core.storage.redis import tolerate_redis_outage
from apps.launcher.heartbeat import Heartbeat
from apps.launcher.processes import describe_status

logger = structlog.get_logger(__name__)

SILENT_LIMIT_SECONDS = 10.0
UNGUARDED_LIMIT_SECONDS = 30.0
# After a stop request, idle workers end at once. A cluster with a worker idle this long cannot end.
STOP_LIMIT_SECONDS = 30.0
# The supervisor gives up after this number of clusters in a row that never began to work.
MAX_FALSE_STARTS = 3
_POLL_SECONDS = 0.5
_NOTE_SECONDS = 2.0
_LONG_POLL_SECONDS = 3.0
_MAX_PAUSE_SECONDS = 10.0


class _Cluster:
    """The processes of one cluster; the first of them, the sentinel, is a child of this one."""

    def __init__(self) -> None:
        identity = uuid.uuid4()
        self.id = str(identity)
        self.pulse = Pulse()
        self.broker = ClusterBroker(self.id, self.pulse)
        self._stop, self.started = Event(), Event()
        close_client()
        self._sentinel = get_context("fork").Process(
            target=WatchedSentinel,
            args=(self.pulse, self._stop, self.started, identity, self.broker),
        )
        self._sentinel.start()

    def is_alive(self) -> bool:
        """Wait a moment, then return whether the sentinel is alive."""
        self._sentinel.join(_POLL_SECONDS)
        return self._sentinel.is_alive()

    @property
    def status(self) -> int | None:
        """The exit status of the sentinel; negative for a signal, None while it is alive."""
        return self._sentinel.exitcode

    def request_stop(self) -> None:
        """Ask the cluster to finish what it has pulled, and to end."""
        self._stop.set()

    def end(self) -> None:
        """Kill what is left of it, and return the tasks that it had claimed."""
        # The other processes end with the sentinel: see `end_with_parent`.
        self._sentinel.kill()
        self._sentinel.join()
        # While Redis is down, this is done later by any cluster: see `_note_in_redis`.
        tolerate_redis_outage(lambda _client: _release(self.id), None, must_try=True)


class Supervisor:
    """Runs a cluster, and replaces it when it does not work, until a signal requests the stop."""

    def __init__(self) -> None:
        self._is_stopping = False
        self._heartbeat = Heartbeat(settings.WORKER_HEARTBEAT_FILE)

    def run(self, *, is_once: bool) -> None:
        """Return when the cluster has stopped by request; with ``is_once``, when it has begun.

        :raises CommandError: when the cluster had to be killed to stop it, or when several in a row did not
            even begin to work; or when its heartbeat file cannot be written.
        """
        self._heartbeat.require_file()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._request_stop)
        false_starts = 0
        while True:
            cluster = _Cluster()
            logger.info("cluster_started", workers=settings.QUEUE_WORKERS, pid=os.getpid())
            problem = self._watch(cluster, is_once=is_once)
            cluster.end()
            if problem is None:
                logger.info("cluster_stopped", pid=os.getpid())
                return
            false_starts = 0 if cluster.pulse.has_beaten else false_starts + 1
            is_last = self._is_stopping or false_starts >= MAX_FALSE_STARTS
            logger.error("cluster_ended" if is_last else "cluster_replaced", reason=problem, pid=os.getpid())
            if is_last:
                raise CommandError(_("The worker cluster has ended: %(reason)s.") % {"reason": problem})
            tolerate_redis_outage(lambda _client: processes.note_replacement(), None)
            if not self._wait_for_redis(false_starts):
                return

    def _watch(self, cluster: _Cluster, *, is_once: bool) -> str | None:
        """Watch the cluster until it ends; returns why it has to be replaced, or None after a proper stop."""
        steady_since = looked_at = time.monotonic()
        noted_at = stopped_at = 0.0
        while cluster.is_alive():
            self._heartbeat.beat()
            now = time.monotonic()
            if now - looked_at > _LONG_POLL_SECONDS:
                # This process was suspended or has waited for a server. The same may be true of the cluster.
                steady_since = now
            looked_at = now
            if is_once and cluster.started.is_set():
                self._is_stopping = True
            if self._is_stopping and not stopped_at:
                cluster.request_stop()
                stopped_at = now
            problem = _problem_of(cluster, now - max(steady_since, stopped_at), is_stopping=self._is_stopping)
            if problem:
                return problem
            if now - noted_at > _NOTE_SECONDS:
                noted_at = now
                _note(cluster, is_stopping=self._is_stopping)
        if self._is_stopping and cluster.status == 0:
            return None
        return f"its first process ended with {describe_status(cluster.status)}"

    def _wait_for_redis(self, false_starts: int) -> bool:
        """Wait until a new cluster can start; False when the stop was requested meanwhile."""
        ready_at = time.monotonic() + min(_MAX_PAUSE_SECONDS, 2.0**false_starts - 1)
        while not self._is_stopping:
            self._heartbeat.beat()
            responds = tolerate_redis_outage(lambda client: bool(client.ping()), False)
            if responds and time.monotonic() >= ready_at:
                return True
            time.sleep(_POLL_SECONDS)
        return False

    def _request_stop(self, _number: int, _frame: object) -> None:
        self._is_stopping = True


def _problem_of(cluster: _Cluster, steady_seconds: float, *, is_stopping: bool) -> str | None:
    """Return why the cluster must be replaced, or None.

    ``steady_seconds``: for how long the supervisor has run without a pause; only this time counts.
    """
    pulse = cluster.pulse
    if is_stopping:
        seconds = min(pulse.idle_seconds, steady_seconds)
        return f"it has not stopped within {seconds:.0f} s" if seconds > STOP_LIMIT_SECONDS else None
    if (seconds := min(pulse.silent_seconds, steady_seconds)) > SILENT_LIMIT_SECONDS:
        return f"its workers have run nothing for {seconds:.0f} s"
    if (seconds := min(pulse.unguarded_seconds, steady_seconds)) > UNGUARDED_LIMIT_SECONDS:
        return f"its first process has stood still for {seconds:.0f} s"
    return None


def _note(cluster: _Cluster, *, is_stopping: bool) -> None:
    """Note the state of the cluster, release the claims of killed clusters, and look for lost wake-ups.

    A cluster that stops pulls no beats and finishes what it has claimed: it is noted as one that works.
    """
    silent_seconds = 0.0 if is_stopping else cluster.pulse.silent_seconds
    is_noted = tolerate_redis_outage(lambda _client: _note_in_redis(cluster, silent_seconds), False)
    if is_noted and cluster.pulse.is_idle and not is_stopping:
        worker_idle.send_robust(sender=Supervisor)


def _note_in_redis(cluster: _Cluster, silent_seconds: float) -> bool:
    processes.note_cluster(cluster.id, silent_seconds=silent_seconds)
    for note in processes.list_cluster_notes():
        if note.is_dead:
            _release(note.cluster_id)
    return True


def _release(cluster_id: str) -> None:
    if count := release_claims(cluster_id):
        logger.warning("claims_released", count=count)
    processes.forget_cluster(cluster_id)
