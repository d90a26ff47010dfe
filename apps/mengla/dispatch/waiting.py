"""Says why a collection or a run waits; of several reasons only the most important one.

A reason has a stable code, which the API shows, and a text for people.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from django.conf import settings
from django.utils.translation import get_language, gettext_noop, ngettext
from django.utils.translation import gettext as _

from apps.core import process_state
from apps.core.liveness.processes import newest_heartbeat, worker_problem
from apps.core.storage.mongo import collection_of, utc_now
from apps.core.time_texts import clock_text, seconds_between
from apps.mengla.choices import CollectionError, CollectionStatus, Priority
from apps.mengla.models import RUNS_INDEX, Collection
from apps.mengla.queue import window
from apps.mengla.store import selectors
from apps.mengla.upstream import breaker, spacing
from apps.mengla.upstream.breaker import BreakerSnapshot, BreakerState
from apps.sync_tasks.work import Waiting

# Estimated: it is not known when an operator will have repaired something.
_REPAIR_SECONDS = 60.0
Document = Mapping[str, Any]


class WaitingCode(StrEnum):
    """The codes of the reasons; an open breaker has the code of the error that opened it."""

    NO_SERVICE = "no_service"
    NO_WORKER = "no_worker"
    UNAVAILABLE = "unavailable"
    OUTSIDE_WINDOW = "outside_window"
    RETRY = "retry"
    QUEUED = "queued"
    IN_FLIGHT = "in_flight"


_OUTAGES = {
    CollectionError.UNAUTHORIZED: gettext_noop("The collection service has refused the key since %(since)s."),
    CollectionError.UNKNOWN_TASK: gettext_noop(
        "The collection service has had no task of this name since %(since)s."
    ),
    CollectionError.REJECTED: gettext_noop(
        "The simulator has responded in place of the collection service since %(since)s."
    ),
    CollectionError.CONNECT_ERROR: gettext_noop(
        "The collection service has been unreachable since %(since)s."
    ),
    CollectionError.TIMEOUT: gettext_noop("The collection service has not answered since %(since)s."),
    CollectionError.SERVICE_ERROR: gettext_noop(
        "The collection service has answered with errors since %(since)s."
    ),
    CollectionError.EXECUTION_FAILED: gettext_noop(
        "The collection service has failed every collection since %(since)s."
    ),
}


def obstacle() -> Waiting | None:
    """Return what holds back all collections at present; None when nothing does."""
    return _no_service() or no_worker() or outage(breaker.snapshot()) or pause()


def obstacle_of_runs() -> Waiting | None:
    """Return what holds back the collections of all runs at present; None when nothing does."""
    return obstacle() or outside_window()


def waiting_of(collection: Document, *, position: int) -> Waiting | None:
    """Return why a collection waits; None when it is sent next, or does not wait.

    ``position``: how many PENDING collections are ahead of it.
    """
    if collection["status"] != CollectionStatus.PENDING:
        return None
    return _remembered_obstacle() or _own_reason(collection, position)


# By language, because a reason has a text: when to look again (monotonic seconds), and the reason.
_remembered: dict[str, tuple[float, Waiting | None]] = {}
process_state.register(_remembered.clear)


def _remembered_obstacle() -> Waiting | None:
    """Return :func:`obstacle` as it was a moment ago: readers who poll would ask both servers each time."""
    language = get_language() or ""
    until, reason = _remembered.get(language, (0.0, None))
    if time.monotonic() >= until:
        reason = obstacle()
        _remembered[language] = time.monotonic() + settings.OBSTACLE_REMEMBERED_SECONDS, reason
    return reason


def waiting_of_run(run_id: str) -> Waiting | None:
    """Return why nothing of a running run is done at present; None when something is."""
    first = _first_pending(run_id)
    if first is None:  # it is being planned, or the service works on all that is left
        return no_worker()
    if (reason := obstacle()) is not None:
        return reason
    in_flight = {"run_ids": run_id, "status": CollectionStatus.DISPATCHED.value}
    if collection_of(Collection).find_one(in_flight, {"_id": 1}) is not None:
        return None
    reason = _own_reason(first, selectors.queue_position(first))
    # All slots are in use: that is how a run goes on, and holds nothing back.
    return None if reason is not None and reason.code == WaitingCode.IN_FLIGHT else reason


def no_worker() -> Waiting | None:
    """Return the reason if no worker is alive, as ``/ready`` says it; None if one is."""
    newest = newest_heartbeat()
    problem = worker_problem(newest)
    if problem is None:
        return None
    since = None if newest is None else newest.beat_at
    return Waiting(WaitingCode.NO_WORKER, problem, since, _REPAIR_SECONDS)


def outage(snapshot: BreakerSnapshot) -> Waiting | None:
    """Return why the breaker is not closed; None when it is."""
    if snapshot.state is BreakerState.CLOSED:
        return None
    since = None
    if snapshot.since is not None:
        since = datetime.fromtimestamp(snapshot.since, UTC).replace(tzinfo=None)
    code = snapshot.reason or WaitingCode.UNAVAILABLE
    template = _OUTAGES.get(snapshot.reason) if snapshot.reason else None
    if template is None or since is None:
        text = _("The collection service is unavailable; the figures will be collected once it is back.")
    else:
        text = _(template) % {"since": clock_text(since)}
    seconds = snapshot.next_probe_seconds or min(snapshot.probe_seconds, _REPAIR_SECONDS)
    return Waiting(code.value, text, since, seconds)


def outside_window() -> Waiting | None:
    """Return the hours in which runs are collected, outside of them; None within them."""
    opening = window.opens_at()
    if opening is None:
        return None
    text = _("Sync tasks collect only within %(hours)s; they continue at %(time)s.") % {
        "hours": window.hours_text(),
        "time": clock_text(opening),
    }
    return Waiting(WaitingCode.OUTSIDE_WINDOW, text, retry_after_seconds=window.seconds_until_open())


def _no_service() -> Waiting | None:
    if settings.COLLECT_SERVICE_URL:
        return None
    text = _("No collection service is configured; the figures will be collected once it is.")
    return Waiting(WaitingCode.NO_SERVICE, text, retry_after_seconds=_REPAIR_SECONDS)


def pause() -> Waiting | None:
    """Return the pause that the service asked for; None without one."""
    seconds = spacing.remaining_pause_seconds()
    if seconds == 0:
        return None
    text = _("The collection service asked for a pause until %(time)s.") % {"time": _time_in(seconds)}
    return Waiting(CollectionError.RATE_LIMITED.value, text, retry_after_seconds=seconds)


def _own_reason(collection: Document, position: int) -> Waiting | None:
    """Return why the collection waits although nothing holds back all of them."""
    if collection["priority"] > Priority.READER and (reason := outside_window()) is not None:
        return reason
    seconds = seconds_between(utc_now(), collection["not_before"])
    if seconds > 0:
        refused_since = collection.get("refused_since")
        if refused_since is None:
            template = _("The last attempt failed (%(reason)s); the next one is due at %(time)s.")
        else:
            template = _(
                "The service did not accept the request (%(reason)s); the next attempt is due at %(time)s."
            )
        text = template % {"reason": _error_name(collection["error_code"]), "time": _time_in(seconds)}
        return Waiting(WaitingCode.RETRY, text, refused_since, seconds)
    if position > 0:
        text = ngettext("%(count)d collection is ahead.", "%(count)d collections are ahead.", position)
        return Waiting(WaitingCode.QUEUED, text % {"count": position})
    slots = settings.MAX_INFLIGHT_REQUESTS
    if selectors.has_free_slot(slots):
        return None
    text = ngettext(
        "%(count)d request is in flight, as many as are allowed.",
        "%(count)d requests are in flight, as many as are allowed.",
        slots,
    )
    return Waiting(WaitingCode.IN_FLIGHT, text % {"count": slots})


def _first_pending(run_id: str) -> Document | None:
    """Return a PENDING collection of the run that was planned early, one that is due if there is any."""
    pending = {"run_ids": run_id, "status": CollectionStatus.PENDING.value}
    # The order of the index is that of planning. To sort them, MongoDB would read them all.
    due = collection_of(Collection).find_one(pending | {"not_before": {"$lte": utc_now()}}, hint=RUNS_INDEX)
    return due or collection_of(Collection).find_one(pending, hint=RUNS_INDEX)


def _error_name(code: str) -> str:
    return str(CollectionError(code).label) if code in CollectionError.values else code


def _time_in(seconds: float) -> str:
    return clock_text(utc_now() + timedelta(seconds=seconds), has_seconds=True)
