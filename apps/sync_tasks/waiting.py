"""Why running runs make no progress at present."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apps.sync_tasks.choices import RunStatus
from apps.sync_tasks.work import Waiting, Work, get_work


def waiting_of(run: Mapping[str, Any]) -> Waiting | None:
    """Return why the run makes no progress; None when it does, or has ended."""
    if run["status"] != RunStatus.RUNNING:
        return None
    return get_work(run["task_id"]).waiting(str(run["_id"]))


class Obstacles:
    """What holds back every run of a list; it is looked up once, however long the list is."""

    def __init__(self) -> None:
        self._found: dict[Work, Waiting | None] = {}

    def of(self, run: Mapping[str, Any]) -> Waiting | None:
        """Return what holds back the run and all others; None when nothing does, or the run has ended."""
        if run["status"] != RunStatus.RUNNING:
            return None
        work = get_work(run["task_id"])
        if work not in self._found:
            self._found[work] = work.obstacle()
        return self._found[work]
