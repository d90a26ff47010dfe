"""django-q2's `qcluster`, which says in one line that a server is missing instead of in two tracebacks."""

from __future__ import annotations

from typing import Any

from django_q.management.commands import qcluster

from apps.core.management.servers import demand_mongo, demand_redis


class Command(qcluster.Command):  # type: ignore[misc]
    """Asks MongoDB and Redis for a sign of life before the first process is started."""

    def handle(self, *args: Any, **options: Any) -> None:
        """Start the cluster when both answer."""
        demand_mongo()
        demand_redis()
        super().handle(*args, **options)
