"""Runs executions: a queue, a timer, and a bounded thread pool for the webhooks."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from apps.mengla.simulator.journal import Journal
from apps.mengla.simulator.plan import Plan
from apps.mengla.simulator.query import Query
from apps.mengla.simulator.sender import DeliveryError, Target, WebhookSender
from apps.mengla.simulator.stats import Stats

logger = logging.getLogger(__name__)

MAX_OPEN_EXECUTIONS = 10_000
WEBHOOK_THREADS = 8


@dataclass(eq=False, slots=True, kw_only=True)
class Execution:
    """One accepted execution.

    ``called_back`` is set after the first attempt to send its result, or when the execution is dropped.
    ``open_parts`` counts the webhooks that are still to be sent.
    """

    execution_id: str
    query: Query
    plan: Plan
    target: Target
    called_back: threading.Event = field(default_factory=threading.Event)
    has_slot: bool = False
    open_parts: int = 1


class Executions:
    """Runs up to ``concurrency`` executions at once, in the order of arrival, and delivers their webhooks.

    Every step is a short function that the pool runs when it is due. No thread sleeps for an execution, so
    thousands can wait.
    """

    def __init__(
        self,
        *,
        stats: Stats,
        sender: WebhookSender,
        journal: Journal,
        concurrency: int,
        webhook_attempts: int,
        webhook_retry_seconds: float,
    ) -> None:
        self._stats = stats
        self._sender = sender
        self._journal = journal
        self._concurrency = concurrency
        self._webhook_attempts = webhook_attempts
        self._webhook_retry_seconds = webhook_retry_seconds
        self._changed = threading.Condition()
        self._waiting: deque[Execution] = deque()
        self._open: set[Execution] = set()
        self._running = 0
        self._timed: list[tuple[float, int, Callable[[], None], Execution]] = []
        self._order = itertools.count()
        self._is_stopping = False
        self._pool = ThreadPoolExecutor(WEBHOOK_THREADS, thread_name_prefix="simulator-webhook")
        self._timer = threading.Thread(target=self._keep_time, name="simulator-timer", daemon=True)
        self._timer.start()

    def submit(self, execution: Execution) -> bool:
        """Enqueue an execution; returns False when too many are open or the simulator stops."""
        with self._changed:
            if self._is_stopping or len(self._open) >= MAX_OPEN_EXECUTIONS:
                return False
            self._open.add(execution)
            self._waiting.append(execution)
            self._stats.execution_accepted()
            self._start_waiting()
        return True

    def set_concurrency(self, concurrency: int) -> None:
        """Change how many executions may run at once."""
        with self._changed:
            self._concurrency = concurrency
            self._start_waiting()

    def wait_idle(self, timeout_seconds: float) -> bool:
        """Wait until every execution has ended and every webhook is sent; returns False on a timeout."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._open, timeout_seconds)

    def stop(self) -> None:
        """Drop the queue, abort the webhooks under way, and end all threads."""
        with self._changed:
            self._is_stopping = True
            self._timed.clear()
            self._waiting.clear()
            stranded = list(self._open)
            self._changed.notify_all()
        self._sender.close()
        for execution in stranded:
            execution.called_back.set()
        self._timer.join()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._stats.executions_abandoned()

    def _start_waiting(self) -> None:
        while self._waiting and self._running < self._concurrency and not self._is_stopping:
            execution = self._waiting.popleft()
            self._running += 1
            execution.has_slot = True
            self._stats.execution_started()
            self._after(0.0, partial(self._run, execution, 0), execution)

    def _run(self, execution: Execution, heartbeats_sent: int) -> None:
        """Send a heartbeat, if one is due, and schedule the next step: another heartbeat or the end."""
        plan = execution.plan
        wanted = plan.knobs.heartbeats
        if heartbeats_sent < wanted:
            self._send_heartbeat(execution, heartbeats_sent)
        number = heartbeats_sent + 1
        pause = plan.run_seconds / max(1, wanted)
        if number < wanted:
            self._after(pause, partial(self._run, execution, number), execution)
        else:
            self._after(pause, partial(self._end, execution), execution)

    def _send_heartbeat(self, execution: Execution, number: int) -> None:
        message = execution.plan.heartbeat(execution.execution_id, number)
        try:
            self._sender.post(
                execution.target, message, has_wrong_signature=execution.plan.has_wrong_signature
            )
        except DeliveryError as error:
            logger.debug("heartbeat not delivered: %s", error)
        self._stats.webhook("heartbeats")

    def _end(self, execution: Execution) -> None:
        # The slot is freed before the webhook is sent: the receiver may send its next execute request at
        # once, and that one must not count as concurrent with this one.
        self._free_slot(execution)
        plan = execution.plan
        self._journal.write("ended", execution=execution.execution_id, is_dropped=plan.is_dropped)
        if plan.is_dropped:
            self._stats.webhook("dropped")
            self._close_part(execution)
            return
        late_seconds = plan.knobs.late_seconds
        if plan.is_duplicated:
            with self._changed:
                execution.open_parts += 1
            if not plan.knobs.duplicate_delay_seconds:
                self._after(late_seconds, partial(self._send_copy, execution), execution)
        self._after(late_seconds, partial(self._deliver, execution, 1), execution)

    def _free_slot(self, execution: Execution) -> None:
        with self._changed:
            if execution.has_slot and not self._is_stopping:
                execution.has_slot = False
                self._running -= 1
                self._stats.execution_ended()
                self._start_waiting()

    def _deliver(self, execution: Execution, attempt: int) -> None:
        try:
            self._attempt(execution)
        except DeliveryError as error:
            logger.info("webhook attempt %d of %s: %s", attempt, execution.execution_id, error)
            if not error.permanent and attempt < self._webhook_attempts:
                self._stats.webhook("retries", str(error))
                execution.called_back.set()
                pause = self._webhook_retry_seconds * 2 ** (attempt - 1)
                self._after(pause, partial(self._deliver, execution, attempt + 1), execution)
                return
            self._stats.webhook("failed", str(error))
        else:
            self._stats.webhook("delivered")
        plan = execution.plan
        if plan.is_duplicated and plan.knobs.duplicate_delay_seconds:
            copy_delay = plan.knobs.duplicate_delay_seconds
            self._after(copy_delay, partial(self._send_copy, execution), execution)
        self._close_part(execution)

    def _attempt(self, execution: Execution) -> None:
        self._stats.webhook("probes")
        try:
            self._sender.probe(execution.target)
        except DeliveryError as error:
            self._stats.webhook("probes_failed", str(error))
            raise
        self._send_result(execution)

    def _send_result(self, execution: Execution) -> None:
        plan = execution.plan
        message = plan.result(execution.query, execution.execution_id)
        known: dict[str, Any] = {"execution": execution.execution_id, "result": plan.result_kind}
        self._journal.write("sending", **known)
        status: int | None = None
        receipt: str | None = None
        try:
            answer = self._sender.post(
                execution.target, message, has_wrong_signature=plan.has_wrong_signature
            )
            status, receipt = answer.status, answer.receipt
        except DeliveryError as error:
            status = error.status
            raise
        finally:
            self._journal.write("sent", **known, status=status, receipt=receipt)

    def _send_copy(self, execution: Execution) -> None:
        try:
            self._send_result(execution)
        except DeliveryError as error:
            logger.info("second webhook of %s: %s", execution.execution_id, error)
        self._stats.webhook("duplicated")
        self._close_part(execution)

    def _close_part(self, execution: Execution) -> None:
        execution.called_back.set()
        with self._changed:
            execution.open_parts -= 1
            if execution.open_parts <= 0:
                self._open.discard(execution)
                self._changed.notify_all()

    def _after(self, seconds: float, step: Callable[[], None], execution: Execution) -> None:
        with self._changed:
            if not self._is_stopping:
                heapq.heappush(self._timed, (time.monotonic() + seconds, next(self._order), step, execution))
                self._changed.notify_all()

    def _keep_time(self) -> None:
        while True:
            with self._changed:
                if self._is_stopping:
                    return
                now = time.monotonic()
                if not self._timed or self._timed[0][0] > now:
                    self._changed.wait(self._timed[0][0] - now if self._timed else None)
                    continue
                _, _, step, execution = heapq.heappop(self._timed)
                self._pool.submit(self._guarded, step, execution)

    def _guarded(self, step: Callable[[], None], execution: Execution) -> None:
        try:
            step()
        except Exception:
            # A bug of the simulator itself: this execution is abandoned, the others go on.
            logger.exception("execution %s broke", execution.execution_id)
            self._free_slot(execution)
            execution.open_parts = 1
            self._close_part(execution)
