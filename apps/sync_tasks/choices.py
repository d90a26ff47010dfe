"""The closed sets of values of this app, stored and shown in the API exactly as spelled here."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class RunStatus(models.TextChoices):
    """The status of a run.

    ::

        RUNNING -> COMPLETED | FAILED | CANCELLED
    """

    RUNNING = "RUNNING", _("Running")
    COMPLETED = "COMPLETED", _("Completed")
    FAILED = "FAILED", _("Failed")
    CANCELLED = "CANCELLED", _("Cancelled")


class Outcome(models.TextChoices):
    """How a run ended, or that it has not: its status, but completed with failures is one of its own."""

    RUNNING = "running", _("Running")
    COMPLETED = "completed", _("Completed")
    COMPLETED_WITH_FAILURES = "completed_with_failures", _("Completed with failures")
    FAILED = "failed", _("Failed")
    CANCELLED = "cancelled", _("Cancelled")


def outcome_of(status: str, *, failed: int) -> Outcome:
    """Return the outcome of a run with this status, of whose collections ``failed`` have failed."""
    if status == RunStatus.COMPLETED and failed > 0:
        return Outcome.COMPLETED_WITH_FAILURES
    return Outcome(status.lower())


class Trigger(models.TextChoices):
    """What started a run."""

    MANUAL = "manual", _("Manual")
    SCHEDULED = "scheduled", _("Scheduled")
    API = "api", _("API")
