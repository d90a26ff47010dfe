"""Errors of this app."""

from __future__ import annotations

from django.utils.translation import gettext as _

from apps.core.errors import Conflict


class AlreadyRunning(Conflict):
    """A run of the same task has not ended; ``run_id`` is its id."""

    def __init__(self, run_id: str) -> None:
        message = _("This task is already running as sync task %(run_id)s.") % {"run_id": run_id}
        super().__init__(message, detail=f"sync_task_id={run_id}")
        self.run_id = run_id
