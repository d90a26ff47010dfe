"""The families of ``/metrics``: their names, their help texts, and how facts become samples."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from typing import Any

from django.conf import settings
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from apps.admin.alerts.outbox import NOTICE
from apps.core.liveness.processes import Cluster, Heartbeat
from apps.core.storage.latency import BUCKET_COUNT, STEPS_PER_DECADE, Histogram, histogram_of, upper_bound
from apps.mengla.dispatch.breaker_control import BreakerStatus
from apps.mengla.monitoring.queue_state import QueueDepth
from apps.mengla.monitoring.webhook_counts import RefusedWebhooks
from apps.mengla.store.outcomes import COLLECTION, COLLECTION_SECONDS, READ, READ_SECONDS, RETRY, each_counter

_BREAKER_STATES = ("closed", "open", "half_open")
# Five bounds in each power of ten from 1 ms to 1000 s; each is also the bound of a counted bucket.
_BOUNDS = range(STEPS_PER_DECADE, STEPS_PER_DECADE * 7 + 1, STEPS_PER_DECADE // 5)


def of_dependencies(is_up: Mapping[str, bool]) -> Metric:
    """Return whether each dependency gave all its data."""
    family = GaugeMetricFamily(
        "collector_up",
        "1 if this dependency responded to this scrape in time, 0 if not.",
        labels=["dependency"],
    )
    for dependency, up in is_up.items():
        family.add_metric([dependency], float(up))
    return family


def of_build() -> Metric:
    """Return the version of the process that responds, as a label."""
    family = GaugeMetricFamily(
        "collector_build_info",
        "1; the labels have the version of the product and of Python in this process.",
        labels=["version", "python"],
    )
    family.add_metric([settings.VERSION, platform.python_version()], 1.0)
    return family


def of_web_processes(count: int) -> Iterator[Metric]:
    """Yield the number of live web processes on all hosts."""
    yield GaugeMetricFamily("collector_web_workers", "Web processes alive, on all hosts.", value=count)


def of_clusters(clusters: list[Cluster]) -> Iterator[Metric]:
    """Yield the numbers of live worker clusters and of their worker processes."""
    yield GaugeMetricFamily(
        "collector_worker_clusters", "Worker clusters alive, on all hosts.", value=len(clusters)
    )
    yield GaugeMetricFamily(
        "collector_queue_workers",
        "Processes that run tasks, of all worker clusters.",
        value=sum(cluster.worker_count for cluster in clusters),
    )


def of_heartbeats(beats: list[Heartbeat]) -> Iterator[Metric]:
    """Yield the age of the last report of each host's workers."""
    family = GaugeMetricFamily(
        "collector_worker_heartbeat_age_seconds",
        "Time since the last report of a worker of this host.",
        labels=["host"],
    )
    for beat in beats:
        family.add_metric([beat.host], beat.age_seconds)
    yield family


def of_queue(depth: QueueDepth) -> Iterator[Metric]:
    """Yield the pending collections, and those that the service is working on."""
    pending = GaugeMetricFamily(
        "collector_queue_pending", "Pending collections, by priority.", labels=["priority"]
    )
    for priority, count in depth.by_priority.items():
        pending.add_metric([priority], count)
    yield pending
    yield GaugeMetricFamily(
        "collector_queue_oldest_pending_seconds",
        "Age of the oldest pending collection; 0 for an empty queue.",
        value=depth.oldest_pending_seconds or 0.0,
    )
    oldest = GaugeMetricFamily(
        "collector_queue_oldest_seconds",
        "Age of the oldest pending collection of each priority; 0 without one.",
        labels=["priority"],
    )
    for priority, seconds in depth.oldest_seconds_by_priority.items():
        oldest.add_metric([priority], seconds or 0.0)
    yield oldest
    yield GaugeMetricFamily(
        "collector_in_flight", "Collections that the collection service is working on.", value=depth.in_flight
    )


def of_breaker(breaker: BreakerStatus) -> Iterator[Metric]:
    """Yield the state and the failures of the circuit breaker."""
    state = GaugeMetricFamily(
        "collector_breaker_state",
        "1 for the current state of the breaker of the collection service, 0 for the others.",
        labels=["breaker", "state"],
    )
    for name in _BREAKER_STATES:
        state.add_metric([breaker.name, name], float(breaker.state == name))
    yield state
    failures = GaugeMetricFamily(
        "collector_breaker_failures", "Consecutive failures of the collection service.", labels=["breaker"]
    )
    failures.add_metric([breaker.name], breaker.failures)
    yield failures


def of_runs(count_by_status: Mapping[str, int]) -> Iterator[Metric]:
    """Yield the number of stored runs by status."""
    family = GaugeMetricFamily("collector_runs", "Stored sync tasks, by status.", labels=["status"])
    for status, count in count_by_status.items():
        family.add_metric([status], count)
    yield family


def of_alerts(alerts: list[dict[str, Any]]) -> Iterator[Metric]:
    """Yield which alerts fire, silenced or not."""
    family = GaugeMetricFamily(
        "collector_alert_firing",
        "1 while the condition of the alert holds, silenced or not.",
        labels=["rule", "action", "severity"],
    )
    for alert in alerts:
        family.add_metric([alert["rule"], alert["action"], alert["severity"]], float(alert["is_firing"]))
    yield family


def of_parked_webhooks(count: int) -> Iterator[Metric]:
    """Yield the number of webhooks that wait for MongoDB."""
    yield GaugeMetricFamily(
        "collector_parked_webhooks",
        "Webhooks that came while MongoDB was down and are not processed yet.",
        value=count,
    )


def of_refused_webhooks(refused: RefusedWebhooks) -> Iterator[Metric]:
    """Yield the number of webhooks with a wrong signature."""
    yield GaugeMetricFamily(
        "collector_refused_webhooks",
        "Webhooks of our own executions with a wrong signature, since the last valid one.",
        value=refused.count,
    )


def of_pause(is_paused: bool) -> Iterator[Metric]:
    """Yield whether all schedules are paused."""
    yield GaugeMetricFamily(
        "collector_schedules_paused", "1 while all schedules are paused.", value=float(is_paused)
    )


def of_counts(counts: Mapping[str, int]) -> Iterator[Metric]:
    """Yield the counts since Redis was last empty."""
    yield _counter(
        counts,
        READ,
        "collector_reads",
        "Reads, by action, source (a tier, miss or refresh) and result.",
        ["action", "source", "result"],
    )
    yield _counter(
        counts,
        COLLECTION,
        "collector_collections",
        "Ended collections, by action, source, outcome and reason.",
        ["action", "source", "outcome", "reason"],
    )
    yield _counter(
        counts,
        RETRY,
        "collector_retries",
        "Failed attempts that were retried.",
        ["action", "source", "reason"],
    )
    yield _counter(
        counts,
        NOTICE,
        "collector_alert_notices",
        "Alert notices that were delivered or given up.",
        ["outcome"],
    )


def of_durations(counts: Mapping[str, int]) -> Iterator[Metric]:
    """Yield the durations of reads and collections since Redis was last empty."""
    yield _histogram(
        histogram_of(READ_SECONDS, counts),
        "collector_read_duration_seconds",
        "Response time of reads, without those that asked to wait.",
    )
    yield _histogram(
        histogram_of(COLLECTION_SECONDS, counts),
        "collector_collection_duration_seconds",
        "Time from a request to the collection service to its answer.",
    )


def _counter(counts: Mapping[str, int], kind: str, name: str, text: str, labels: list[str]) -> Metric:
    family = CounterMetricFamily(name, text, labels=labels)
    for values, count in each_counter(counts, kind):
        family.add_metric(values, count)
    return family


def _histogram(histogram: Histogram, name: str, text: str) -> Metric:
    buckets = [(f"{upper_bound(bucket):.6g}", float(histogram.count_up_to(bucket))) for bucket in _BOUNDS]
    buckets.append(("+Inf", float(histogram.count_up_to(BUCKET_COUNT))))
    return HistogramMetricFamily(name, text, buckets=buckets, sum_value=histogram.sum_seconds)
