"""django-q2's `qcluster`; it replaces a cluster that does not work, and leaves no process behind."""

from __future__ import annotations

from multiprocessing import util
from typing import Any

from django.utils.module_loading import autodiscover_modules
from django_q.management.commands import qcluster

from apps.core.management.servers import require_mongo, require_redis
from apps.launcher.processes import end_with_parent


class Command(qcluster.Command):  # type: ignore[misc]
    """Checks MongoDB and Redis before the first process is started."""

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the cluster when both servers respond, until SIGTERM or Ctrl-C.

        :raises CommandError: when a server does not respond, or when the cluster does not begin to work.
        """
        require_mongo()
        require_redis()
        # Without this, the sentinel and its workers would outlive a kill -9 of this process, and would go on
        # with the old code and environment.
        util.register_after_fork(self, lambda _command: end_with_parent())
        autodiscover_modules("tasks")  # loaded once before the fork, not by each worker
        # Imported here, because `--help` does not need it.
        from apps.launcher.supervisor import Supervisor

        Supervisor().run(is_once=options["run_once"])
