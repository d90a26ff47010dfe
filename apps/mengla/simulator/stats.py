"""Counts of what the simulator received and sent: exact, under one lock, in bounded memory."""

from __future__ import annotations

import threading
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

MAX_KEYS = 100_000
MAX_RECENT_KEYS = 1000
MAX_INVALID_EXAMPLES = 20
MAX_EXAMPLE_CHARACTERS = 300

PlainCount = Literal[
    "total_requests",
    "task_list_requests",
    "unauthorized_requests",
    "unknown_task_requests",
    "requests_while_down",
    "execute_errors",
]
WebhookCount = Literal[
    "delivered", "failed", "duplicated", "dropped", "heartbeats", "probes", "probes_failed", "retries"
]
WEBHOOK_COUNTS: tuple[WebhookCount, ...] = get_args(WebhookCount)


@dataclass
class _Counts:
    """All counts that a reset clears."""

    total_requests: int = 0
    task_list_requests: int = 0
    execute_requests: int = 0
    executions: int = 0
    unauthorized_requests: int = 0
    unknown_task_requests: int = 0
    requests_while_down: int = 0
    execute_errors: int = 0
    max_concurrent: int = 0
    max_running: int = 0
    max_concurrent_posts: int = 0
    min_gap_seconds: float | None = None
    last_post_at: float | None = None
    next_number: int = 0
    keys: Counter[str] = field(default_factory=Counter)
    keys_left_out: int = 0
    recent_keys: deque[str] = field(default_factory=lambda: deque(maxlen=MAX_RECENT_KEYS))
    invalid_requests: int = 0
    invalid_reasons: Counter[str] = field(default_factory=Counter)
    invalid_examples: deque[str] = field(default_factory=lambda: deque(maxlen=MAX_INVALID_EXAMPLES))
    webhooks: Counter[str] = field(default_factory=Counter)
    last_webhook_error: str | None = None


class Stats:
    """The statistics of one simulator; all methods are thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts = _Counts()
        # Numbers of what is under way now. A reset keeps them: otherwise they would become negative later.
        self._posts = 0
        self._outstanding = 0
        self._running = 0

    def reset(self) -> None:
        """Clear all counts; request numbers start again at 1, so that the rates repeat."""
        with self._lock:
            self._counts = _Counts(
                max_concurrent=self._outstanding, max_running=self._running, max_concurrent_posts=self._posts
            )

    def count(self, name: PlainCount) -> None:
        """Add one to a plain counter."""
        with self._lock:
            setattr(self._counts, name, getattr(self._counts, name) + 1)

    def post_arrived(self, at_seconds: float) -> None:
        """Count an execute request; ``at_seconds`` is the monotonic time of its arrival."""
        with self._lock:
            counts = self._counts
            counts.execute_requests += 1
            self._posts += 1
            counts.max_concurrent_posts = max(counts.max_concurrent_posts, self._posts)
            last = counts.last_post_at
            if last is not None:
                # Threads may report in another order than the one in which the requests arrived.
                gap = abs(at_seconds - last)
                shortest = counts.min_gap_seconds
                counts.min_gap_seconds = gap if shortest is None else min(gap, shortest)
            counts.last_post_at = at_seconds if last is None else max(at_seconds, last)

    def post_ended(self) -> None:
        """Note that the response to an execute request is ready."""
        with self._lock:
            self._posts -= 1

    def count_query(self, key: str) -> int:
        """Count a valid query under its key; returns its request number, which starts at 1."""
        with self._lock:
            counts = self._counts
            counts.next_number += 1
            if key in counts.keys or len(counts.keys) < MAX_KEYS:
                counts.keys[key] += 1
            else:
                counts.keys_left_out += 1
            counts.recent_keys.append(key)
            return counts.next_number

    def count_invalid(self, reason: str, message: str) -> None:
        """Count an execute request that breaks the protocol."""
        with self._lock:
            self._counts.invalid_requests += 1
            self._counts.invalid_reasons[reason] += 1
            self._counts.invalid_examples.append(f"{reason}: {message}"[:MAX_EXAMPLE_CHARACTERS])

    def execution_accepted(self) -> None:
        """Count an accepted execution; it is outstanding until it ends."""
        with self._lock:
            self._counts.executions += 1
            self._outstanding += 1
            self._counts.max_concurrent = max(self._counts.max_concurrent, self._outstanding)

    def execution_started(self) -> None:
        """Note that an execution has left the queue and runs."""
        with self._lock:
            self._running += 1
            self._counts.max_running = max(self._counts.max_running, self._running)

    def execution_ended(self) -> None:
        """Note that a running execution has ended."""
        with self._lock:
            self._running -= 1
            self._outstanding -= 1

    def executions_abandoned(self) -> None:
        """Note that the simulator has stopped and nothing is under way any more."""
        with self._lock:
            self._running = self._outstanding = 0

    def webhook(self, name: WebhookCount, error: str | None = None) -> None:
        """Count one webhook event of :data:`WEBHOOK_COUNTS`."""
        with self._lock:
            self._counts.webhooks[name] += 1
            if error is not None:
                self._counts.last_webhook_error = error[:MAX_EXAMPLE_CHARACTERS]

    def snapshot(self) -> dict[str, Any]:
        """Return all counts as plain values, all from the same moment."""
        with self._lock:
            counts = self._counts
            return {
                "total_requests": counts.total_requests,
                "task_list_requests": counts.task_list_requests,
                "execute_requests": counts.execute_requests,
                "executions": counts.executions,
                "keys": dict(counts.keys),
                "keys_left_out": counts.keys_left_out,
                "recent_keys": list(counts.recent_keys),
                "outstanding": self._outstanding,
                "max_concurrent": counts.max_concurrent,
                "max_running": counts.max_running,
                "max_concurrent_posts": counts.max_concurrent_posts,
                "min_gap_seconds": counts.min_gap_seconds,
                "webhooks": {name: counts.webhooks[name] for name in WEBHOOK_COUNTS},
                "last_webhook_error": counts.last_webhook_error,
                "invalid_requests": counts.invalid_requests,
                "invalid_reasons": dict(counts.invalid_reasons),
                "invalid_examples": list(counts.invalid_examples),
                "unauthorized_requests": counts.unauthorized_requests,
                "unknown_task_requests": counts.unknown_task_requests,
                "requests_while_down": counts.requests_while_down,
                "execute_errors": counts.execute_errors,
            }
