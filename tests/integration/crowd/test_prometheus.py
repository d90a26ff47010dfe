"""A real Prometheus reads a running installation with our rules, and answers what the dashboards ask."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from apps.admin.alerts.outbox import NOTICE
from apps.core.storage import counters
from apps.mengla.store.outcomes import MISS, REFRESH, TIERS, Outcome, ReadResult
from apps.sync_tasks.choices import RunStatus
from tests.http import METRICS_HEADERS
from tests.integration.samples import samples_of
from tests.integration.stack import Stack
from tests.integration.waiting import wait_until
from tests.observability.prometheus import (
    DASHBOARDS,
    GROUPING,
    MATCHER,
    SELECTOR,
    Prometheus,
    program,
    queries,
    rules,
)

pytestmark = [pytest.mark.slow, pytest.mark.mongo, pytest.mark.redis]

OF_PROMETHEUS = {"instance", "job"}
# What an installation may have, though this one has not.
KNOWN_VALUES = {*Outcome, *ReadResult, *RunStatus, *TIERS, REFRESH, ""}
MAY_BE_EMPTY = {"Alerts that fire now", "当前触发的告警"}


@pytest.fixture
def prometheus(stack: Stack, tmp_path: Path) -> Iterator[Prometheus]:
    """A Prometheus that has scraped the installation three times, when every series of it was there."""
    program("prometheus")  # before the work for it
    question = stack.questions.one()
    for _ in range(3):
        stack.collect(question)
    stack.simulator.set_knobs(failure_rate=1)
    (failed,) = stack.ask_all([stack.questions.one()])
    stack.wait_until_ended([failed])
    stack.simulator.reset_knobs()
    notices = {counters.STATS: {f"{NOTICE}:{outcome}": 1 for outcome in ("delivered", "given_up")}}
    stack.caller.call("apps.core.storage.counters.add", increments=notices)
    wait_until(
        lambda: MISS in sources_of(stack) and not sources_of(stack).isdisjoint(TIERS),
        timeout_seconds=10,
        what="the reads are counted",
    )
    token = METRICS_HEADERS["Authorization"].removeprefix("Bearer ")
    target = stack.url.removeprefix("http://")
    with Prometheus(tmp_path, target=target, token=token) as running:
        running.wait_for_scrapes(3)
        yield running


def text_of(stack: Stack) -> str:
    with stack.client() as client:
        return client.get("/metrics", headers=METRICS_HEADERS).text


def sources_of(stack: Stack) -> set[str]:
    samples = samples_of(text_of(stack))
    return {dict(labels)["source"] for name, labels in samples if name == "collector_reads_total"}


def test_dashboards_and_rules_find_what_they_ask_for(stack: Stack, prometheus: Prometheus) -> None:
    asked = [(title, expression) for path in DASHBOARDS for title, expression in queries(path)]
    for title, expression in asked:
        assert prometheus.query(expression) or title in MAY_BE_EMPTY, (title, expression)

    evaluated = wait_until(
        lambda: [one for one in prometheus.rules() if one["health"] != "unknown"],
        timeout_seconds=10,
        what="the rules were evaluated",
    )
    assert {one["name"]: one["lastError"] for one in evaluated if one.get("lastError")} == {}

    # Each metric, label and value in them is one of /metrics.
    labels_of: dict[str, set[str]] = {}
    values_of: dict[tuple[str, str], set[str]] = {}
    for name, labels in samples_of(text_of(stack)):
        labels_of.setdefault(name, set()).update(dict(labels))
        for label, value in labels:
            values_of.setdefault((name, label), set()).add(value)
    for expression in [*(one for _, one in asked), *(rule["expr"] for rule in rules())]:
        named = {name for name, _ in SELECTOR.findall(expression)}
        assert named <= set(labels_of), expression
        for name, matchers in SELECTOR.findall(expression):
            for label, _, values in MATCHER.findall(matchers):
                known = values_of.get((name, label), set()) | KNOWN_VALUES
                assert label in labels_of[name] and set(values.split("|")) <= known, expression
        groups = {label.strip() for one in GROUPING.findall(expression) for label in one.split(",")}
        known_labels = OF_PROMETHEUS.union(*labels_of.values())
        assert groups <= known_labels, expression
    used = {name for _, one in asked for name, _ in SELECTOR.findall(one)}
    shown = {name for name in labels_of if not name.endswith(("_sum", "_count", "_created"))}
    assert shown - used <= {"collector_queue_oldest_pending_seconds"}  # each priority has a line of its own
