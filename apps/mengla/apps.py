"""The app that collects and serves the figures."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from django.apps import AppConfig
from django.utils.functional import SimpleLazyObject
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from apps.sync_tasks.work import Work


class MengLaConfig(AppConfig):
    """Registers the work of runs; a queue worker that starts or is idle looks for lost wake-ups."""

    name = "apps.mengla"
    label = "mengla"
    verbose_name = _("Market figures")

    def ready(self) -> None:
        """Register the work of runs, and connect to the start of queue workers.

        The work is imported when it is first used, because most commands do not need it.
        """
        from django_q.signals import post_spawn

        from apps.core.management.database_state import register_database_check
        from apps.core.periods import Granularity, register_granularity_name
        from apps.core.scheduling.signals import worker_idle
        from apps.mengla import checks  # noqa: F401 - importing registers them
        from apps.mengla.choices import WARM_UP_TASK_ID
        from apps.sync_tasks.signals import run_deleted
        from apps.sync_tasks.work import register_work

        register_granularity_name("quarterly_for_year", Granularity.QUARTER)  # the service's name
        register_database_check(_former_database_problem)
        register_work(SimpleLazyObject(_collection_work))
        register_work(SimpleLazyObject(_warm_up_work), task_id=WARM_UP_TASK_ID)
        run_deleted.connect(_delete_run_data, dispatch_uid="mengla.run_data")
        post_spawn.connect(_report_worker, dispatch_uid="mengla.report_worker")
        post_spawn.connect(_wake_dispatcher, dispatch_uid="mengla.wake_dispatcher")
        worker_idle.connect(_look_for_lost_wake_ups, dispatch_uid="mengla.watch")


def _collection_work() -> Work:
    from apps.mengla.runs.work import CollectionWork

    return CollectionWork()


def _former_database_problem() -> str | None:
    from apps.mengla.former.former_database import former_database_problem

    return former_database_problem()


def _warm_up_work() -> Work:
    from apps.mengla.runs.warm_up_work import WarmUpWork

    return WarmUpWork()


def _delete_run_data(*, run_id: str, is_data_deleted: bool, **_kwargs: Any) -> int:
    from apps.mengla.runs.work import delete_records_of

    return delete_records_of(run_id) if is_data_deleted else 0


def _report_worker(**_kwargs: Any) -> None:
    from apps.core.liveness.processes import note_heartbeat

    # The tick reports every worker too, but the first tick may be a minute away.
    note_heartbeat()


def _wake_dispatcher(**_kwargs: Any) -> None:
    from apps.mengla.queue.wakeup import wake_dispatcher_anew

    # A killed worker loses the wake-up that it was processing: the next worker to start sends another.
    wake_dispatcher_anew()


def _look_for_lost_wake_ups(**_kwargs: Any) -> None:
    import redis
    from django.db.utils import DatabaseError
    from pymongo.errors import PyMongoError

    from apps.mengla.maintenance import watch

    with suppress(PyMongoError, DatabaseError, redis.RedisError):  # it looks again in a few seconds
        watch.look()
