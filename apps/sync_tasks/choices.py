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


class Trigger(models.TextChoices):
    """What started a run."""

    MANUAL = "manual", _("Manual")
    SCHEDULED = "scheduled", _("Scheduled")
    API = "api", _("API")
