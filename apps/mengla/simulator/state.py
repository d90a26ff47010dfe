"""The state of one simulator: its configuration, knobs, statistics and executions."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from apps.mengla.simulator.executions import Executions
from apps.mengla.simulator.journal import Journal
from apps.mengla.simulator.knobs import Knobs
from apps.mengla.simulator.stats import Stats

DEFAULT_TASK_NAME = "萌啦数据采集"


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorConfig:
    """The configuration of a simulator, fixed while it runs; ``port`` 0 picks a free port."""

    host: str = "127.0.0.1"
    port: int = 0
    env: str = "development"
    api_key: str = field(default="", repr=False)
    webhook_secret: str = field(default="", repr=False)
    task_name: str = DEFAULT_TASK_NAME
    seed: int = 0
    knobs: Knobs = field(default_factory=Knobs)
    webhook_timeout_seconds: float = 10.0
    webhook_attempts: int = 4
    webhook_retry_seconds: float = 0.5
    journal_path: Path | None = None


class SimulatorState:
    """What the threads of one simulator share; :class:`Simulator` adds start and stop."""

    def __init__(self, config: SimulatorConfig) -> None:
        self.config = config
        self.stats_counter = Stats()
        self.journal = Journal(None)
        self.is_stopping = threading.Event()
        self._knobs = config.knobs
        self._knobs_lock = threading.Lock()
        self._executions: Executions | None = None

    @property
    def knobs(self) -> Knobs:
        """The current knobs."""
        return self._knobs

    @property
    def executions(self) -> Executions:
        """The executions of a running simulator.

        :raises RuntimeError: when the simulator does not run.
        """
        if self._executions is None:
            raise RuntimeError("the simulator is not running")
        return self._executions

    def set_knobs(self, **changes: Any) -> Knobs:
        """Change some knobs at run time; returns all knobs. See :meth:`change_knobs`."""
        return self.change_knobs(changes)

    def change_knobs(self, changes: object) -> Knobs:
        """Change the knobs of a JSON object, as ``POST /knobs`` does; returns all knobs.

        :raises InvalidKnobs: when one of them is invalid; then none changes.
        """
        with self._knobs_lock:
            self._knobs = knobs = self._knobs.changed(changes)
        self._apply_concurrency()
        return knobs

    def reset_knobs(self) -> Knobs:
        """Restore the knobs the simulator was created with; returns them."""
        with self._knobs_lock:
            self._knobs = self.config.knobs
        self._apply_concurrency()
        return self.config.knobs

    def stats(self) -> dict[str, Any]:
        """Return the statistics as ``GET /stats`` does."""
        return self.stats_counter.snapshot()

    def reset_stats(self) -> None:
        """Clear all counts; request numbers start again at 1, so that the rates repeat."""
        self.stats_counter.reset()

    def _apply_concurrency(self) -> None:
        if self._executions is not None:
            self._executions.set_concurrency(self._knobs.concurrency)
