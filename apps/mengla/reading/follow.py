"""Polls a run from outside the worker until it has ended; it changes nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.db.utils import DatabaseError
from django.utils.translation import gettext as _
from pymongo.errors import PyMongoError

from apps.core.errors import NotFound
from apps.core.storage.outages import is_mongo_outage
from apps.sync_tasks.choices import RunStatus
from apps.sync_tasks.selectors import Progress, find_run, progress_of, waiting_of
from apps.sync_tasks.work import Waiting

_POLL_SECONDS = 0.5
# Counting a large run is slow: after a poll of n seconds, wait at least 5 n before the next one.
_POLL_SHARE = 5
_OUTAGE_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class RunView:
    """A run and its progress at one instant; ``waiting`` says why it makes none."""

    run: dict[str, Any]
    progress: Progress
    waiting: Waiting | None = None

    @property
    def is_ended(self) -> bool:
        """Whether the run has ended."""
        return bool(self.run["status"] != RunStatus.RUNNING)

    @property
    def ended_count(self) -> int:
        """How many of its collections have ended, with any outcome."""
        progress = self.progress
        return progress.completed + progress.failed + progress.empty + progress.cancelled


def look_at_run(run_id: str) -> RunView:
    """Return the run as it is now.

    :raises NotFound: when there is no such run.
    """
    run = find_run(run_id)
    if run is None:
        raise NotFound(_("There is no such sync task."))
    return RunView(run, progress_of(run), waiting_of(run))


def follow_run(
    run_id: str,
    *,
    outage_seconds: float = _OUTAGE_SECONDS,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[RunView | None]:
    """Yield the run at every poll until it has ended; None for a poll that MongoDB did not respond to.

    :raises NotFound: when there is no such run, or it was deleted meanwhile.
    :raises PyMongoError, DatabaseError: when an outage lasts longer than ``outage_seconds``.
    """
    answered_at = clock()
    while True:
        asked_at = clock()
        try:
            view = look_at_run(run_id)
        except (PyMongoError, DatabaseError) as error:
            if not is_mongo_outage(error) or clock() - answered_at > outage_seconds:
                raise
            yield None
        else:
            answered_at = clock()
            yield view
            if view.is_ended:
                return
        sleep(max(_POLL_SECONDS, (clock() - asked_at) * _POLL_SHARE))
