"""What one simulator knows: how it was started, its knobs, its statistics and its executions."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

from apps.mengla.simulator.executions import Executions
from apps.mengla.simulator.knobs import Knobs
from apps.mengla.simulator.stats import Stats

DEFAULT_TASK_NAME = "萌啦数据采集"


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorConfig:
    """Everything that is fixed while a simulator runs; ``port`` 0 picks a free one."""

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


class SimulatorState:
    """What the threads of one simulator share; its server adds the start and the stop."""

    def __init__(self, config: SimulatorConfig) -> None:
        self.config = config
        self.stats_counter = Stats()
        self.is_stopping = threading.Event()
        self._knobs = config.knobs
        self._knobs_lock = threading.Lock()
        self._executions: Executions | None = None

    @property
    def knobs(self) -> Knobs:
        """The knobs as they stand now."""
        return self._knobs

    @property
    def executions(self) -> Executions:
        """The executions of a running simulator."""
        if self._executions is None:
            raise RuntimeError("the simulator does not run")
        return self._executions

    def set_knobs(self, **changes: Any) -> Knobs:
        """Change some knobs at run time and return all of them; ``InvalidKnobs`` changes nothing."""
        return self.change_knobs(changes)

    def change_knobs(self, changes: object) -> Knobs:
        """Apply a JSON object of knobs, as ``POST /knobs`` does."""
        with self._knobs_lock:
            self._knobs = knobs = self._knobs.changed(changes)
        self._apply_concurrency()
        return knobs

    def reset_knobs(self) -> Knobs:
        """Return to the knobs the simulator was made with."""
        with self._knobs_lock:
            self._knobs = self.config.knobs
        self._apply_concurrency()
        return self.config.knobs

    def stats(self) -> dict[str, Any]:
        """Return what ``GET /stats`` returns."""
        return self.stats_counter.snapshot()

    def reset_stats(self) -> None:
        """Forget all counts; request numbers start again, so that the rates repeat."""
        self.stats_counter.reset()

    def _apply_concurrency(self) -> None:
        if self._executions is not None:
            self._executions.set_concurrency(self._knobs.concurrency)
