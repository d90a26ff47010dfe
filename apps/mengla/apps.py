"""The app that collects and serves the figures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class MengLaConfig(AppConfig):
    """Registers what runs do; when a queue worker starts, it reports itself and wakes the dispatcher."""

    name = "apps.mengla"
    label = "mengla"
    verbose_name = _("Market figures")

    def ready(self) -> None:
        """Say what runs are made of, and connect to the start of queue workers."""
        from django_q.signals import post_spawn

        from apps.mengla.services.run_work import CollectionWork, delete_records_of
        from apps.mengla.services.warm_up_work import TASK_ID as WARM_UP_TASK_ID
        from apps.mengla.services.warm_up_work import WarmUpWork
        from apps.sync_tasks.signals import run_deleted
        from apps.sync_tasks.work import register_work

        register_work(CollectionWork())
        register_work(WarmUpWork(), task_id=WARM_UP_TASK_ID)
        run_deleted.connect(_delete_run_data(delete_records_of), weak=False, dispatch_uid="mengla.run_data")
        post_spawn.connect(_report_worker, dispatch_uid="mengla.report_worker")
        post_spawn.connect(_wake_dispatcher, dispatch_uid="mengla.wake_dispatcher")


def _delete_run_data(delete_records_of: Callable[[str], int]) -> Callable[..., int]:
    def receive(*, run_id: str, is_data_deleted: bool, **_kwargs: Any) -> int:
        return delete_records_of(run_id) if is_data_deleted else 0

    return receive


def _report_worker(**_kwargs: Any) -> None:
    from apps.core.heartbeats import note_heartbeat

    # The tick reports too; until the first one, up to a minute, nobody would know of this worker.
    note_heartbeat()


def _wake_dispatcher(**_kwargs: Any) -> None:
    from apps.mengla.services.wakeup import wake_dispatcher_anew

    # A worker killed with a wake-up in its hands has lost it: whoever starts next makes it good.
    wake_dispatcher_anew()
