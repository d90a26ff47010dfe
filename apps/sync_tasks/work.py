"""The interface to the work of runs, which another app does.

That app registers a :class:`Work` when it starts. This app counts, cancels and retries runs through it, and
knows nothing else of what they do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from django.core.exceptions import ImproperlyConfigured

from apps.core.time_texts import stored_period_text


@dataclass(frozen=True, slots=True)
class Started:
    """A started run; ``is_new`` is false when the same firing of a schedule had started it before."""

    run_id: str
    is_new: bool


@dataclass(frozen=True, slots=True)
class Counts:
    """The collections of a run, counted by their state."""

    total: int = 0
    completed: int = 0
    failed: int = 0
    empty: int = 0
    cancelled: int = 0
    active: int = 0
    in_flight: int = 0  # of the active ones; not stored in the totals, because nothing is then active

    @property
    def ended(self) -> int:
        """How many have ended, with any result."""
        return self.completed + self.failed + self.empty + self.cancelled


@dataclass(frozen=True, slots=True)
class Rate:
    """How many collections end per minute at present; 0 when none does, or when it is not known.

    It was measured from ``measured`` collections: of the run itself, or (``is_own`` false) of all runs and
    readers.
    """

    per_minute: float
    measured: int = 0
    is_own: bool = True


@dataclass(frozen=True, slots=True)
class Failure:
    """A collection that failed, and why, under the API's names."""

    collection_id: str
    action: str
    cat_id: str
    dateType: str
    period: str
    error: str
    message: str
    attempts: int

    @property
    def shown_period(self) -> str:
        """The period as text for people."""
        return stored_period_text(self.period)


@dataclass(frozen=True, slots=True)
class FailureReason:
    """Why collections failed, as a code and as a text for people, and how many."""

    code: str
    name: str
    count: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why work waits: a stable code, and a text for people.

    ``since`` is UTC without zone, None when it is not known. ``retry_after_seconds``: the reason does not
    end earlier.
    """

    code: str
    message: str
    since: datetime | None = None
    retry_after_seconds: float = 0.0


class Work(Protocol):
    """The work behind runs. Instants are UTC without zone."""

    def count(self, run_id: str) -> Counts:
        """Count the collections of the run by their state."""

    def rate(self, run_id: str, started_at: datetime) -> Rate:
        """Return how many collections of the run currently end per minute."""

    def obstacle(self) -> Waiting | None:
        """Return why no run makes progress at present; None when nothing holds all of them back."""

    def waiting(self, run_id: str) -> Waiting | None:
        """Return why the running run makes no progress at present; None when it does."""

    def failures(self, run_id: str, limit: int) -> list[Failure]:
        """Return up to ``limit`` failed collections of the run, with their reasons."""

    def count_failures(self, run_id: str) -> list[FailureReason]:
        """Count the failed collections of the run by reason, the most frequent first."""

    def count_own_records(self, run_id: str) -> int:
        """Count the records that only this run wrote."""

    def cancel(self, run_id: str) -> bool:
        """Cancel the work that only this run waits for; False when some is left, which needs another call."""

    def retry(self, run: Mapping[str, Any], requested_by: str) -> Started:
        """Start a run that retries the failed work of this one."""


_registered: Work | None = None
_registered_for: dict[str, Work] = {}


def register_work(work: Work, *, task_id: str | None = None) -> None:
    """Register the work of all runs, or of the runs of one task; called once, when the app is ready."""
    global _registered  # noqa: PLW0603 - one kind of work is behind nearly all runs
    if task_id is None:
        _registered = work
    else:
        _registered_for[task_id] = work


def get_work(task_id: str = "") -> Work:
    """Return the work behind the runs of a task.

    :raises ImproperlyConfigured: when no app has registered any.
    """
    work = _registered_for.get(task_id, _registered)
    if work is None:
        raise ImproperlyConfigured("No app has registered the work of sync tasks.")
    return work
