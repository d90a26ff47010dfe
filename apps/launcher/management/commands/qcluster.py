"""django-q2's `qcluster`; it replaces a cluster that does not work, and leaves no process behind."""

from __future__ import annotations

from multiprocessing import util
from typing import Any

import structlog
from django.conf import settings
from django.utils.module_loading import autodiscover_modules
from django_q.management.commands import qcluster

from apps.core.management.database_state import require_migrations
from apps.core.management.servers import require_mongo, require_redis
from apps.core.storage.outages import is_mongo_outage
from apps.launcher.processes import end_with_parent

logger = structlog.get_logger(__name__)


class Command(qcluster.Command):  # type: ignore[misc]
    """Checks MongoDB, its migrations and Redis before the first process is started."""

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the cluster when both servers respond, until SIGTERM or Ctrl-C.

        The schedules are brought in line with the CRON_* variables before it starts.

        :raises CommandError: when a server does not respond, when migrations are missing, or when the cluster
            does not begin to work.
        """
        require_mongo()
        require_redis()
        require_migrations()
        # Without this, the sentinel and its workers would outlive a kill -9 of this process, and would go on
        # with the old code and environment.
        util.register_after_fork(self, lambda _command: end_with_parent())
        autodiscover_modules("tasks")  # loaded once before the fork, not by each worker
        # Imported here, because `--help` does not need them.
        from django_q import worker

        from apps.launcher.supervisor import Supervisor

        if settings.SENTRY_DSN:
            worker.error_reporter = _TaskErrors()
        _sync_schedules()
        Supervisor().run(is_once=options["run_once"])


class _TaskErrors:
    """Logs the exception of a task where it is known, in the worker, from where it is reported to Sentry."""

    def report(self) -> None:
        """Log the current exception; django-q2 calls it."""
        logger.exception("task_failed")


def _sync_schedules() -> None:
    """Bring the schedules in line with the settings; MongoDB may stop responding at this moment."""
    from apps.core.scheduling.schedules import sync_schedules

    try:
        result = sync_schedules()
    except Exception as error:
        if not is_mongo_outage(error):
            raise
        logger.warning("schedules_not_synced", error=type(error).__name__)
        return
    if result.added or result.changed or result.removed:
        logger.info("schedules_synced", added=result.added, changed=result.changed, removed=result.removed)
