"""The stored runs.

Only ``services/`` writes them, with conditional PyMongo updates: the ORM has no find-and-update.
"""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext, gettext_lazy
from django.utils.translation import gettext_lazy as _
from django_mongodb_backend.fields import ObjectIdAutoField

from apps.core.stored_messages import Message, name_in_history
from apps.core.time_texts import stored_period_text
from apps.sync_tasks.choices import RunStatus, Trigger


class SyncTask(models.Model):
    """One run of a task: what was started, by whom, how far its planning is and how it ended.

    ``running_key`` is set while the run is RUNNING: the task's id, or a longer key for a task that may run
    several times at once. Its unique index prevents two running runs with the same key. ``slot`` holds the
    firing of a schedule; its unique index prevents a second run when a schedule fires twice. Progress is
    counted from the work itself. ``totals`` are a copy of the count, written when the run and the last of its
    collections have ended, and null before; ``services/lifecycle.py`` keeps
    them exact.
    """

    id = ObjectIdAutoField(primary_key=True)
    task_id = models.CharField(_("task"), max_length=40)
    name = models.CharField(_("name"), max_length=100)
    trigger = models.CharField(_("trigger"), max_length=16, choices=Trigger.choices)
    status = models.CharField(
        _("status"), max_length=16, choices=RunStatus.choices, default=RunStatus.RUNNING
    )
    period = models.CharField(_("period"), max_length=40, blank=True)
    slot = models.CharField(max_length=64, null=True)  # noqa: DJ001 - null is outside the index
    running_key = models.CharField(max_length=40, null=True)  # noqa: DJ001 - null is outside the index
    requested_by = models.CharField(_("requested by"), max_length=160, blank=True)
    parameters = models.JSONField(_("parameters"), default=dict)
    totals = models.JSONField(_("totals"), null=True)
    skipped = models.JSONField(_("skipped"), default=dict)
    expected_total = models.IntegerField(_("expected collections"), default=0)
    planned_count = models.IntegerField(_("planned so far"), default=0)
    is_planned = models.BooleanField(_("is planned"), default=False)
    planner_token = models.CharField(max_length=64, blank=True)
    planner_until = models.DateTimeField(null=True)
    planner_lease_seconds = models.FloatField(default=0)
    retry_of = models.CharField(_("retry of"), max_length=24, blank=True)
    error_message = models.CharField(_("error message"), max_length=500, blank=True)
    error_message_parts = models.JSONField(null=True)
    started_at = models.DateTimeField(_("started at"))
    finished_at = models.DateTimeField(_("finished at"), null=True)
    updated_at = models.DateTimeField(_("updated at"))

    class Meta:
        db_table = "sync_tasks"
        verbose_name = _("sync task")
        verbose_name_plural = _("sync tasks")
        constraints = [
            models.UniqueConstraint(fields=["running_key"], name="sync_task_overlap"),
            models.UniqueConstraint(fields=["task_id", "slot"], name="sync_task_slot"),
        ]
        indexes = [
            models.Index(fields=["-started_at", "-id"], name="sync_task_newest"),
            models.Index(fields=["status", "-started_at", "-id"], name="sync_task_by_status"),
            models.Index(fields=["task_id", "-started_at", "-id"], name="sync_task_by_task"),
            models.Index(fields=["trigger", "-started_at", "-id"], name="sync_task_by_trigger"),
            # The tick looks for runs that have ended without totals; those that have not ended have none.
            models.Index(fields=["totals", "started_at"], name="sync_task_unsettled"),
        ]

    def __str__(self) -> str:
        return f"{self.shown_name} {self.shown_period}".strip()

    @property
    def shown_name(self) -> str:
        """The name in the user's language.

        It is stored in English; the app that starts runs marks it for translation.
        """
        return gettext(self.name) if self.name else ""

    @property
    def shown_period(self) -> str:
        """The period as text, in the user's language; "" for a run without one."""
        return stored_period_text(self.period)

    def history_name(self) -> Message:
        """Return what ``str`` returns, for the history, whose readers may have another language."""
        return name_in_history(gettext_lazy(self.name) if self.name else "", period=self.period)
