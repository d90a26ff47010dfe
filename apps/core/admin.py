"""The admin pages of django-q2's models and of the history log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.db.models import Model
from django.http import HttpRequest
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.utils.translation import gettext_noop
from django_q.models import Failure, OrmQ, Schedule, Success

from apps.core.admin_base import history
from apps.core.admin_base.display import Coloured, coloured
from apps.core.admin_base.history import note_history
from apps.core.admin_base.model_admin import CollectorModelAdmin, LargeReadOnlyAdmin
from apps.core.admin_base.operations import Operation, OperationsMixin
from apps.core.admin_base.rights import name_of_user
from apps.core.errors import Conflict, InvalidInput
from apps.core.scheduling import cron, schedules
from apps.core.storage.flags import SCHEDULER_PAUSED, is_flag_set
from apps.core.stored_messages import HISTORY, Message, name_in_history
from apps.core.time_texts import instant_text

# OrmQ is django-q2's queue in MongoDB, which stays empty, because the broker is Redis: it gets no page.
for _model in (Success, Failure, Schedule, OrmQ):
    if admin.site.is_registered(_model):  # some are registered in certain configurations only
        admin.site.unregister(_model)

# The Chinese of django-q2 and Django differs from the product's terms and typesetting. Texts that are marked
# here are translated by the product's catalogue.
_TRANSLATED_AGAIN = (
    gettext_noop("Scheduled task"),
    gettext_noop("Scheduled tasks"),
    gettext_noop("Select %s to change"),
    gettext_noop("Select %s to view"),
    gettext_noop("Change %s"),
    gettext_noop("View %s"),
    gettext_noop("Change history: %s"),
    gettext_noop(" By %(filter_title)s "),
    gettext_noop("0 of %(cnt)s selected"),
    gettext_noop("Action"),
    gettext_noop("Log out"),
)

_MAX_RESULT_LENGTH = 100


class _TaskAdmin(LargeReadOnlyAdmin[Model]):
    """Messages that the workers handled, newest first; the tick later does the work of those that failed."""

    list_display = ("name", "func", "started", "stopped", "short_result")
    search_fields = ("name__exact", "func__exact")
    search_help_text = _lazy("Exact name of the message or of the function")
    ordering = ("-stopped", "-id")
    fields = ("name", "func", "args", "kwargs", "group", "started", "stopped", "attempt_count", "result")

    @admin.display(description=_lazy("result"))
    def short_result(self, task: Any) -> str:
        """Return the beginning of the function's result or of its error."""
        return Truncator(str(task.result)).chars(_MAX_RESULT_LENGTH)


@admin.register(Success)
class SuccessAdmin(_TaskAdmin):
    """Messages whose function succeeded."""


@admin.register(Failure)
class FailureAdmin(_TaskAdmin):
    """Messages whose function failed."""


if TYPE_CHECKING:
    _ModelForm = forms.ModelForm[Model]
else:
    _ModelForm = forms.ModelForm


class ScheduleForm(_ModelForm):
    """The cron expression of a schedule, validated before it is stored."""

    class Meta:
        model = Schedule
        fields = ("cron",)

    def clean_cron(self) -> str:
        """Return the expression with single spaces between its fields; an invalid one is a form error."""
        try:
            return cron.clean_cron(self.cleaned_data["cron"] or "")
        except InvalidInput as error:
            raise forms.ValidationError((error.fields or {})["cron"]) from error


def _title(schedule: Any) -> str:
    return schedules.title_of(schedule.name)


# The pages show it as the name of a schedule; that of django-q2 is the path of the function.
Schedule.__str__ = _title

_PAUSED = HISTORY.register("schedule_paused", gettext_noop("Paused %(name)s."))
_RESUMED = HISTORY.register("schedule_resumed", gettext_noop("Resumed %(name)s."))


def _pause(schedule: Any, user: str) -> Message:
    if not schedules.pause_schedule(schedule.name, paused_by=user):
        raise Conflict(_("This schedule is already paused."))
    return _PAUSED(name=schedules.lazy_title_of(schedule.name))


def _resume(schedule: Any, user: str) -> Message:
    if not schedules.resume_schedule(schedule.name, resumed_by=user):
        raise Conflict(_("This schedule is not paused."))
    return _RESUMED(name=schedules.lazy_title_of(schedule.name))


_CHANGED = HISTORY.register("schedule_times_changed", gettext_noop("Changed the times to %(cron)s."))


def _why_no_pause(schedule: Any) -> str:
    if schedule.intended_date_kwarg is None:
        return str(schedules.UNPAUSABLE)
    return _("This schedule is already paused.") if schedule.repeats == 0 else ""


def _why_no_resume(schedule: Any) -> str:
    return "" if schedule.repeats == 0 else _("This schedule is not paused.")


def _is_held(schedule: Any) -> bool:
    """Whether all schedules are paused, and this one obeys that."""
    return schedule.intended_date_kwarg is not None and is_flag_set(SCHEDULER_PAUSED)


@admin.register(Schedule)
class ScheduleAdmin(OperationsMixin[Model], CollectorModelAdmin[Model]):
    """The product's schedules: their times can be changed, and those that start runs can be paused."""

    form = ScheduleForm
    list_display = ("name", "cron_in_words", "cron", "next_run_local", "state")
    list_display_links = ("name",)
    ordering = ("next_run", "id")
    fields = ("title", "cron_in_words", "cron", "next_run_local", "state", "id_in_commands")
    readonly_fields = ("title", "cron_in_words", "next_run_local", "state", "id_in_commands")
    operations = (
        Operation(
            slug="pause",
            label=_lazy("Pause"),
            confirm_text=lambda schedule: _("Pause %(name)s?") % {"name": schedules.title_of(schedule.name)},
            run=_pause,
            refusal=_why_no_pause,
        ),
        Operation(
            slug="resume",
            label=_lazy("Resume"),
            confirm_text=lambda schedule: _("Resume %(name)s?") % {"name": schedules.title_of(schedule.name)},
            run=_resume,
            refusal=_why_no_resume,
        ),
    )

    @admin.display(description=_lazy("name"))
    def title(self, schedule: Any) -> str:
        """Return the name for people."""
        return schedules.title_of(schedule.name)

    @admin.display(description=_lazy("name in commands"))
    def id_in_commands(self, schedule: Any) -> str:
        """Return the name that commands and the API take."""
        return str(schedule.name)

    def history_name(self, row: Any) -> Message:
        """Return the title, which the history shows in the language of its reader."""
        return name_in_history(schedules.lazy_title_of(row.name))

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Write the new times into the history; Django does not use the entry that it wants returned."""
        note_history(request, [obj], _CHANGED(cron=obj.cron), name=self.history_name(obj))

    @admin.display(description=_lazy("when"))
    def cron_in_words(self, schedule: Any) -> str:
        """Return the cron expression in words."""
        return cron.describe_cron(schedule.cron or "")

    @admin.display(description=_lazy("next run (Asia/Shanghai)"))
    def next_run_local(self, schedule: Any) -> str:
        """Return the next run in the time zone that the expression refers to; "-" while paused."""
        return "-" if schedule.repeats == 0 or _is_held(schedule) else instant_text(schedule.next_run)

    @coloured(_lazy("state"), {"paused": "warning", "on": "success"})
    def state(self, schedule: Any) -> Coloured:
        """Return whether the schedule runs, is paused by itself, or is paused with all others."""
        if schedule.repeats == 0:
            return Coloured(("paused", _("Paused")))
        return Coloured(("paused", _("All schedules are paused")) if _is_held(schedule) else ("on", _("On")))

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Change the times through the service."""
        schedules.change_cron(obj.name, cron=obj.cron, changed_by=name_of_user(request))

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse: only the code of the product declares schedules."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: only the code of the product declares schedules."""
        return False


@admin.register(LogEntry)
class HistoryAdmin(LargeReadOnlyAdmin[LogEntry]):
    """Who changed what in the admin, newest first."""

    list_display = ("action_time", "user", "content_type", "object_text", "change_text")
    list_select_related = ("user", "content_type")
    fields = list_display
    ordering = ("-id",)

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> LogEntry | None:
        """Return the entry, whose title on its page is in the language of the reader."""
        entry = super().get_object(request, object_id, from_field)
        if entry is not None:
            history.translate_entry(entry)
        return entry

    @admin.display(description=_lazy("object"))
    def object_text(self, entry: LogEntry) -> str:
        """Return the name of the changed row in the language of the reader."""
        return history.object_text(entry)

    @admin.display(description=_lazy("change"))
    def change_text(self, entry: LogEntry) -> str:
        """Return the change in the language of the reader."""
        return history.change_text(entry)
