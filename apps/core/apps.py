"""Start-up of the shared kernel."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.apps import AppConfig

# This module is among the first that a process loads.
STARTED_AT = datetime.now(UTC)


class CoreConfig(AppConfig):
    """Registers what every process of the product needs."""

    name = "apps.core"
    label = "core"

    def ready(self) -> None:
        """Prepare django-q2 and forks, register the system checks, add tasks to log lines."""
        from django_q.signals import pre_execute

        from apps.core import checks  # noqa: F401 - importing registers them
        from apps.core.scheduling.task_signatures import accept_previous_keys
        from apps.core.storage.mongo import forget_clients_after_fork

        accept_previous_keys()
        forget_clients_after_fork()
        pre_execute.connect(_name_task_in_logs, dispatch_uid="core.name_task_in_logs")


def _name_task_in_logs(*, task: dict[str, Any], **_kwargs: Any) -> None:
    """Add the task that a queue worker runs to all its log lines."""
    import structlog

    # Remove what the previous task has bound.
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(task=str(task["func"]), task_id=task["id"])
