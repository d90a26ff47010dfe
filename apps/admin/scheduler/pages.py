"""The kernel's pages of django-q2, with what only the product knows: runs, and what messages are for."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from django_q.models import Failure, Schedule, Success

from apps.admin.scheduler.services import outcome_of_task
from apps.core.admin import FailureAdmin, ScheduleAdmin, SuccessAdmin
from apps.core.admin_base.display import Coloured, coloured
from apps.core.admin_base.rights import may_on
from apps.core.scheduling.schedules import list_schedules, title_of
from apps.core.storage.flags import SCHEDULER_PAUSED, is_flag_set
from apps.core.time_texts import instant_text
from apps.sync_tasks.choices import Outcome, outcome_of
from apps.sync_tasks.selectors import last_run_of, progress_of

for _model in (Success, Failure, Schedule):
    admin.site.unregister(_model)

_NOTHING = "-"
_RUN = "sync_tasks.synctask"
_OUTCOME_COLOURS: dict[str, str] = {
    Outcome.RUNNING: "info",
    Outcome.COMPLETED: "success",
    Outcome.COMPLETED_WITH_FAILURES: "warning",
    Outcome.FAILED: "danger",
    Outcome.CANCELLED: "warning",
}


class _Explained:
    """Says on the list and on the page of a message what messages are."""

    list_before_template = "collector/messages_note.html"
    change_form_before_template = "collector/messages_note.html"


@admin.register(Success)
class ExplainedSuccessAdmin(_Explained, SuccessAdmin):
    """Messages whose function succeeded."""


@admin.register(Failure)
class ExplainedFailureAdmin(_Explained, FailureAdmin):
    """Messages whose function failed."""


@admin.register(Schedule)
class ScheduleListAdmin(ScheduleAdmin):
    """The schedules, each with its last run and what can be done with it."""

    list_display: Any = (
        "title",
        "cron_in_words",
        "last_run",
        "outcome",
        "next_run_local",
        "state",
        "actions_of_row",
    )
    list_display_links = ("title",)

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        """Look up the last run of each row, and what the user may do with it."""
        page = super().get_changelist_instance(request)
        is_all_paused = is_flag_set(SCHEDULER_PAUSED)
        tasks = {one.name: one.last_task for one in list_schedules()}
        pausing = [
            one
            for one in self.operations
            if self.may_operate(request, one) and not (is_all_paused and one.slug == "pause")
        ]
        for schedule in page.result_list:
            starts_runs = schedule.intended_date_kwarg is not None
            schedule.last_run = last_run_of(schedule.name) if starts_runs else None
            schedule.last_task = None if starts_runs else tasks.get(schedule.name)
            schedule.sees_runs = may_on(request, "view", _RUN)
            schedule.buttons = [
                (reverse("admin:django_q_schedule_operation", args=[schedule.pk, one.slug]), one.label)
                for one in pausing
                if not one.refusal(schedule)
            ]
            if starts_runs and may_on(request, "change", _RUN):
                address = f"{reverse('admin:collector_run_task')}?{urlencode({'task': schedule.name})}"
                schedule.buttons.insert(0, (address, _now("Run now")))
        return page

    @admin.display(description=_("last run"))
    def last_run(self, schedule: Any) -> str | SafeString:
        """Return when the last run started, with a link to it."""
        run = schedule.last_run
        if run is None:
            return instant_text(schedule.last_task.started_at) if schedule.last_task else _NOTHING
        started_at = instant_text(run["started_at"])
        if not schedule.sees_runs:
            return started_at
        address = reverse("admin:sync_tasks_synctask_change", args=[str(run["_id"])])
        return format_html('<a class="collector-link" href="{}">{}</a>', address, started_at)

    @coloured(_("outcome"), _OUTCOME_COLOURS)
    def outcome(self, schedule: Any) -> Coloured | None:
        """Return how the last run ended; None without one."""
        run = schedule.last_run
        if run is not None:
            outcome = outcome_of(run["status"], failed=progress_of(run).failed)
        elif schedule.last_task is not None:
            outcome = outcome_of_task(schedule.last_task)
        else:
            return None
        return Coloured((outcome.value, str(outcome.label)))

    @admin.display(description=_("actions"))
    def actions_of_row(self, schedule: Any) -> str | SafeString:
        """Return the buttons of the row; each leads to a page that asks."""
        name = title_of(schedule.name)
        buttons = format_html_join(
            " ",
            '<a class="collector-action" href="{}">{}<span class="collector-sr"> {}</span></a>',
            ((address, label, name) for address, label in schedule.buttons),
        )
        return format_html('<span class="collector-actions">{}</span>', buttons) if buttons else _NOTHING
