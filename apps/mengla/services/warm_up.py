"""Starts cache warm-ups: a worker then puts the newest answers into L2, before readers ask for them."""

from __future__ import annotations

from django.utils.translation import gettext as _

from apps.categories.selectors import category_exists
from apps.core.errors import InvalidInput
from apps.mengla.services.collect import TASK_NAMES, Order
from apps.mengla.services.planning import request_planning
from apps.mengla.services.warm_up_work import TASK_ID, Wanted
from apps.sync_tasks import services as runs
from apps.sync_tasks.services import Started

__all__ = ["MAX_LIMIT", "TASK_ID", "Wanted", "start_warm_up"]

MAX_LIMIT = 10_000
_MAX_NAMED = 20


def start_warm_up(wanted: Wanted, *, order: Order) -> Started:
    """Start a run that puts the newest of the wanted answers into L2.

    :raises InvalidInput: for unknown categories.
    :raises AlreadyRunning: while another warm-up runs.
    """
    unknown = [cat_id for cat_id in wanted.cat_ids if cat_id and not category_exists(cat_id)]
    if unknown:
        message = _("There is no such category: %(names)s.") % {"names": ", ".join(unknown[:_MAX_NAMED])}
        raise InvalidInput(message, fields={"cat_ids": [message]})
    started = runs.start_run(
        task_id=TASK_ID,
        name=TASK_NAMES[TASK_ID],
        trigger=order.trigger,
        requested_by=order.requested_by,
        parameters=wanted.to_json(),
        expected_total=wanted.limit,
    )
    request_planning(started.run_id)
    return started
