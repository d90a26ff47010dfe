"""django-q2's `qcluster`, which says in one line that a server is missing, and leaves no process behind."""

from __future__ import annotations

from multiprocessing import util
from typing import Any

from django.utils.module_loading import autodiscover_modules
from django_q.management.commands import qcluster

from apps.core.management.servers import demand_mongo, demand_redis
from apps.launcher.processes import end_with_parent


class Command(qcluster.Command):  # type: ignore[misc]
    """Asks MongoDB and Redis for a sign of life before the first process is started."""

    def handle(self, *args: Any, **options: Any) -> None:
        """Start the cluster when both answer."""
        demand_mongo()
        demand_redis()
        # After kill -9 of this process the sentinel would go on for ever, with its workers: a cluster that
        # nobody stops, of the code and the environment of yesterday.
        util.register_after_fork(self, lambda _command: end_with_parent())
        autodiscover_modules("tasks")  # loaded once here, and not by each worker that is forked from here
        super().handle(*args, **options)
