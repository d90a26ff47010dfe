"""The metrics in the text format of Prometheus.

Every scrape reads MongoDB and Redis anew and stores nothing in the process, so every process of every host
gives the same metrics. A dependency that does not respond within the deadline is reported as
``collector_up 0``, and the metrics that need it are missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from apps.admin.alerts.selectors import list_alerts
from apps.admin.metrics import families
from apps.core.liveness import processes
from apps.core.liveness.bounded_reads import Dependency, Part, PartResult, read_parts
from apps.core.storage import counters
from apps.core.storage.flags import SCHEDULER_PAUSED, is_flag_set
from apps.core.storage.latency import LATENCY
from apps.mengla.dispatch import breaker_control
from apps.mengla.monitoring import queue_state
from apps.mengla.monitoring.webhook_counts import count_parked_webhooks, read_refused_webhooks
from apps.sync_tasks import selectors as runs

_PARTS = {
    "web": Part(Dependency.REDIS, processes.count_web_processes),
    "clusters": Part(Dependency.REDIS, processes.list_clusters),
    "breaker": Part(Dependency.REDIS, breaker_control.read_breaker),
    "counts": Part(Dependency.REDIS, lambda: counters.read_total(counters.STATS)),
    "durations": Part(Dependency.REDIS, lambda: counters.read_total(LATENCY)),
    "parked": Part(Dependency.REDIS, count_parked_webhooks),
    "refused": Part(Dependency.REDIS, read_refused_webhooks),
    "queue": Part(Dependency.MONGODB, queue_state.queue_depth),
    "runs": Part(Dependency.MONGODB, runs.count_by_status),
    "heartbeats": Part(Dependency.MONGODB, processes.list_heartbeats),
    "alerts": Part(Dependency.MONGODB, list_alerts),
    "paused": Part(Dependency.MONGODB, lambda: is_flag_set(SCHEDULER_PAUSED)),
}
_FAMILIES: Mapping[str, Callable[[Any], Iterator[Metric]]] = {
    "web": families.of_web_processes,
    "clusters": families.of_clusters,
    "breaker": families.of_breaker,
    "counts": families.of_counts,
    "durations": families.of_durations,
    "parked": families.of_parked_webhooks,
    "refused": families.of_refused_webhooks,
    "queue": families.of_queue,
    "runs": families.of_runs,
    "heartbeats": families.of_heartbeats,
    "alerts": families.of_alerts,
    "paused": families.of_pause,
}


class _Scrape(Collector):
    """The results of one scrape."""

    def __init__(self, results: Mapping[str, PartResult]) -> None:
        self._results = results

    def collect(self) -> Iterator[Metric]:
        """Yield every family whose part has data."""
        yield families.of_build()
        yield families.of_dependencies(
            {
                dependency.value: all(
                    self._results[name].available for name, part in _PARTS.items() if part.needs is dependency
                )
                for dependency in Dependency
            }
        )
        for name, result in self._results.items():
            if result.available:
                yield from _FAMILIES[name](result.data)


def expose() -> bytes:
    """Return the whole text within about the deadline of ``bounded_reads``, even if a server hangs."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Scrape(read_parts(_PARTS)))
    return generate_latest(registry)
