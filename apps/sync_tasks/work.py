"""What this app must be told about the work of its runs, by the app that does it.

That app registers one :class:`Work` when it starts, so that runs can be counted, cancelled and retried here
although nothing here knows what they do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from django.core.exceptions import ImproperlyConfigured


@dataclass(frozen=True, slots=True)
class Started:
    """The run that was started; ``is_new`` is false when its firing had started it before."""

    run_id: str
    is_new: bool


@dataclass(frozen=True, slots=True)
class Counts:
    """How the collections of a run stand."""

    total: int = 0
    completed: int = 0
    failed: int = 0
    empty: int = 0
    cancelled: int = 0
    active: int = 0

    @property
    def ended(self) -> int:
        """How many have ended, however they did."""
        return self.completed + self.failed + self.empty + self.cancelled


@dataclass(frozen=True, slots=True)
class Failure:
    """A collection that failed, and why; the names are the API's, but for the two in words for people."""

    collection_id: str
    action: str
    cat_id: str
    dateType: str
    period: str
    error: str
    message: str
    attempts: int
    action_name: str = ""
    error_name: str = ""


class Work(Protocol):
    """The work behind runs. Instants are UTC without zone."""

    def count(self, run_id: str) -> Counts:
        """Count the collections of the run by how they stand."""

    def rate_per_minute(self, run_id: str, started_at: datetime) -> float:
        """Return how many collections of the run end per minute at present."""

    def failures(self, run_id: str, limit: int) -> list[Failure]:
        """Return failed collections of the run, with their reasons."""

    def count_failures(self, run_id: str) -> dict[str, int]:
        """Count the failed collections of the run by their reason, in words."""

    def count_own_records(self, run_id: str) -> int:
        """Count the records that only this run wrote."""

    def cancel(self, run_id: str) -> bool:
        """Cancel what only this run waits for; False when some is left, for which this is called again."""

    def retry(self, run: Mapping[str, Any], requested_by: str) -> Started:
        """Start a run that does again what failed in this one."""


_registered: Work | None = None
_registered_for: dict[str, Work] = {}


def register_work(work: Work, *, task_id: str | None = None) -> None:
    """Make this the work of every run, or of one task's; called once, when the app that does it is ready."""
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
