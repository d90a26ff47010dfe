"""The switches: pausing the schedules, resetting the breaker, cancelling everything."""

from __future__ import annotations

from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, gettext_noop

from apps.admin.pages.operations.operation import Done, Operation, Question, number_text
from apps.admin.permissions import TO_CANCEL_ALL, TO_PAUSE, TO_RESET_BREAKER
from apps.admin.scheduler.services import already_text, pause_scheduler, resume_scheduler
from apps.core.storage.flags import SCHEDULER_PAUSED, read_flag
from apps.core.stored_messages import HISTORY
from apps.mengla.dispatch.breaker_control import read_breaker, reset_breaker
from apps.mengla.dispatch.cancel_all import cancel_all
from apps.mengla.monitoring.queue_state import queue_depth
from apps.sync_tasks.choices import RunStatus
from apps.sync_tasks.selectors import count_by_status

SCHEDULES = gettext_lazy("Schedules")
BREAKER = gettext_lazy("Circuit breaker")
QUEUE = gettext_lazy("Queue")

# --- Schedules ----------------------------------------------------------------------------------------

_PAUSED = HISTORY.register("all_schedules_paused", gettext_noop("Paused all schedules."))
_RESUMED = HISTORY.register("all_schedules_resumed", gettext_noop("Resumed all schedules."))


def _ask_pause() -> Question:
    pause = read_flag(SCHEDULER_PAUSED)
    if pause.is_set:
        return Question([already_text(pause)], is_needed=False)
    return Question(
        [
            _("Pause all schedules?"),
            _("They start no sync tasks until they are resumed, also after a restart."),
            _("Collections that are queued are still sent, and readers are still served."),
        ]
    )


def _pause(_given: QueryDict, user: str) -> Done:
    done = pause_scheduler(paused_by=user)
    return Done(_PAUSED() if done.is_changed else already_text(done.pause))


def _ask_resume() -> Question:
    pause = read_flag(SCHEDULER_PAUSED)
    if not pause.is_set:
        return Question([already_text(pause)], is_needed=False)
    return Question(
        [
            _("Resume all schedules?"),
            _("They run again at their next time. The backfill check collects what was missed meanwhile."),
        ]
    )


def _resume(_given: QueryDict, user: str) -> Done:
    done = resume_scheduler(resumed_by=user)
    return Done(_RESUMED() if done.is_changed else already_text(done.pause))


# --- Circuit breaker ----------------------------------------------------------------------------------

_RESET = HISTORY.register("breaker_reset", gettext_noop("Reset the circuit breaker."))


def _ask_reset() -> Question:
    status = read_breaker()
    return Question(
        [
            _("Reset the circuit breaker?"),
            _("Requests to the collection service start again at once. If it is still down, they fail."),
            *([status.message] if status.message else []),
        ]
    )


def _reset(_given: QueryDict, user: str) -> Done:
    return Done(_RESET() if reset_breaker(reset_by=user) else _("There was nothing to reset."))


# --- Queue --------------------------------------------------------------------------------------------

_CANCELLED = HISTORY.register(
    "everything_cancelled",
    gettext_noop(
        "Cancelled all. Sync tasks: %(runs)d. Collections: %(collections)d. Still in flight: %(in_flight)d."
    ),
)
_CANCELLED_PARTLY = HISTORY.register(
    "partly_cancelled",
    gettext_noop(
        "Cancelled a part. Sync tasks: %(runs)d. Collections: %(collections)d. More is left: cancel again."
    ),
)


def _ask_cancel() -> Question:
    depth, running = queue_depth(), count_by_status()[RunStatus.RUNNING]
    return Question(
        [
            _("Cancel all sync tasks and all queued collections?"),
            _("Collections that readers wait for are cancelled, too. Records that are stored stay."),
            _("Collections in flight cannot be cancelled: their figures are stored when they arrive."),
        ],
        facts=[
            (_("Sync tasks to cancel"), number_text(running)),
            (_("Queued collections to cancel"), number_text(depth.pending)),
            (_("In flight, not cancelled"), number_text(depth.in_flight)),
        ],
        is_needed=bool(running or depth.pending),
    )


def _cancel(_given: QueryDict, user: str) -> Done:
    done = cancel_all(cancelled_by=user)
    if done.is_complete and not (done.runs or done.collections):
        return Done(_("There was nothing to cancel."))
    if not done.is_complete:
        return Done(_CANCELLED_PARTLY(runs=done.runs, collections=done.collections))
    return Done(_CANCELLED(runs=done.runs, collections=done.collections, in_flight=done.in_flight))


SWITCHES = (
    Operation(
        slug="pause",
        section=SCHEDULES,
        label=gettext_lazy("Pause all schedules"),
        needs=TO_PAUSE,
        ask=_ask_pause,
        run=_pause,
    ),
    Operation(
        slug="resume",
        section=SCHEDULES,
        label=gettext_lazy("Resume all schedules"),
        needs=TO_PAUSE,
        ask=_ask_resume,
        run=_resume,
    ),
    Operation(
        slug="reset-breaker",
        section=BREAKER,
        label=gettext_lazy("Reset the breaker"),
        needs=TO_RESET_BREAKER,
        ask=_ask_reset,
        run=_reset,
    ),
    Operation(
        slug="cancel-all",
        section=QUEUE,
        label=gettext_lazy("Cancel everything"),
        needs=TO_CANCEL_ALL,
        ask=_ask_cancel,
        run=_cancel,
        is_danger=True,
        is_cancelling=True,
    ),
)
