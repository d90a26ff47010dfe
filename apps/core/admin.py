"""django-q2's own pages and the history log in the admin."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.db.models import Model
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy as _
from django_q.models import Failure, OrmQ, Schedule, Success

from apps.core.admin_base.model_admin import LargeReadOnlyAdmin

for _model in (Success, Failure, Schedule, OrmQ):
    if admin.site.is_registered(_model):  # some only in certain configurations
        admin.site.unregister(_model)

_MAX_RESULT_LENGTH = 100


class _TaskAdmin(LargeReadOnlyAdmin[Model]):
    """What the workers did, newest first; a failed message is not sent again here, the tick makes it good."""

    list_display = ("name", "func", "started", "stopped", "short_result")
    search_fields = ("name__exact", "func__exact")
    search_help_text = _("Exact name of the message or of the function")
    ordering = ("-stopped", "-id")
    fields = ("name", "func", "args", "kwargs", "group", "started", "stopped", "attempt_count", "result")

    @admin.display(description=_("result"))
    def short_result(self, task: Any) -> str:
        """Return the beginning of what the function returned or of why it failed."""
        return Truncator(str(task.result)).chars(_MAX_RESULT_LENGTH)


@admin.register(Success)
class SuccessAdmin(_TaskAdmin):
    """Messages that were done."""


@admin.register(Failure)
class FailureAdmin(_TaskAdmin):
    """Messages whose function failed."""


@admin.register(OrmQ)
class QueueAdmin(LargeReadOnlyAdmin[Model]):
    """django-q2's queue in MongoDB; it stays empty, because the broker is Redis."""

    list_display = ("id", "key", "name", "func", "lock")
    fields = ("key", "name", "func", "lock")
    ordering = ("-id",)


@admin.register(Schedule)
class ScheduleAdmin(LargeReadOnlyAdmin[Model]):
    """When the product's tasks run."""

    list_display = ("name", "cron", "next_run")
    ordering = ("next_run", "id")
    fields = ("name", "func", "cron", "next_run")


@admin.register(LogEntry)
class HistoryAdmin(LargeReadOnlyAdmin[LogEntry]):
    """Who changed what in the admin, newest first."""

    list_display = ("action_time", "user", "content_type", "object_repr", "what")
    list_select_related = ("user", "content_type")
    fields = list_display
    ordering = ("-id",)

    @admin.display(description=_("change"))
    def what(self, entry: LogEntry) -> str:
        """Return the change in words."""
        return entry.get_change_message() or str(entry.get_action_flag_display())
