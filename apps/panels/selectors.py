"""Reads of this app; no function changes anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from apps.core.storage.mongo import collection_of
from apps.panels.config import DEFAULT_CONFIG, Module, PanelConfig
from apps.panels.errors import UnknownModule, UnknownTask
from apps.panels.models import PanelLayout
from apps.panels.panel_tasks import TASKS, PanelTask
from apps.sync_tasks.selectors import Progress, last_run_of, progress_of

CONFIG_ID = "default"
CACHE_GROUP = "panels"  # of the entries that are built from the configuration


@dataclass(frozen=True, slots=True)
class TaskView:
    """A panel task with its newest run; ``run`` and ``progress`` are None when it never ran."""

    task: PanelTask
    run: Mapping[str, Any] | None
    progress: Progress | None


def read_config() -> PanelConfig:
    """Return the whole configuration, read from one document, so it never contains half of a change."""
    stored = collection_of(PanelLayout).find_one({"_id": CONFIG_ID})
    return DEFAULT_CONFIG if stored is None else PanelConfig.from_document(stored)


def list_modules() -> tuple[Module, ...]:
    """Return the modules in their order."""
    return read_config().modules


def find_module(module_id: str) -> Module:
    """Return one module.

    :raises UnknownModule: when there is no such module.
    """
    for module in list_modules():
        if module.id == module_id:
            return module
    raise UnknownModule


def find_task(task_id: str) -> PanelTask:
    """Return a panel task.

    :raises UnknownTask: when there is no such task.
    """
    if task_id not in TASKS:
        raise UnknownTask
    return TASKS[task_id]


def list_tasks() -> list[TaskView]:
    """Return the panel tasks, each with its newest run and the progress of that run."""
    views = []
    for task in TASKS.values():
        run = last_run_of(task.id)
        views.append(TaskView(task, run, None if run is None else progress_of(run)))
    return views
