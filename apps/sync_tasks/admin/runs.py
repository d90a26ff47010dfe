"""The pages of sync tasks."""

from __future__ import annotations

from typing import Any, ClassVar, cast

from bson import ObjectId
from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import BadRequest, PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.utils.cache import add_never_cache_headers
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop, ngettext, ngettext_lazy

from apps.core.admin_base.model_admin import LargeReadOnlyAdmin
from apps.core.admin_base.operations import Operation, OperationsMixin
from apps.core.stored_messages import HISTORY, Message
from apps.core.time_texts import NOTHING, instant_text
from apps.sync_tasks import selectors, services
from apps.sync_tasks.admin.filters import OutcomeFilter
from apps.sync_tasks.admin.live import LiveRun, document_of, live_run
from apps.sync_tasks.choices import RunStatus
from apps.sync_tasks.models import SyncTask
from apps.sync_tasks.responses import sections
from apps.sync_tasks.selectors import Obstacles, waiting_of
from apps.sync_tasks.words import ERRORS, HAS_ENDED, IS_RUNNING, NONE_FAILED, skipped_text

MAX_WATCHED = 100


_CANCELLED = HISTORY.register("run_cancelled", gettext_noop("Cancelled %(name)s."))
_RETRIED = HISTORY.register(
    "run_retried", gettext_noop("Retrying the failed collections of %(name)s as sync task %(id)s.")
)
_DELETED = HISTORY.register("run_deleted", gettext_noop("Deleted %(name)s. Its records are kept."))
_DELETED_WITH_DATA = HISTORY.register(
    "run_deleted_with_data",
    ngettext_lazy(
        "Deleted %(name)s and %(count)d record.", "Deleted %(name)s and %(count)d records.", "count"
    ),
)


def _cancel(task: SyncTask, user: str) -> Message:
    services.cancel_run(run_id=str(task.pk), cancelled_by=user)
    return _CANCELLED(name=task.history_name())


def _retry(task: SyncTask, user: str) -> Message:
    started = services.retry_run(run_id=str(task.pk), requested_by=user)
    return _RETRIED(name=task.history_name(), id=started.run_id)


def _delete(task: SyncTask, user: str) -> Message:
    services.delete_run(run_id=str(task.pk), is_data_deleted=False, deleted_by=user)
    return _DELETED(name=task.history_name())


def _delete_with_data(task: SyncTask, user: str) -> Message:
    count = services.delete_run(run_id=str(task.pk), is_data_deleted=True, deleted_by=user).records
    return _DELETED_WITH_DATA(name=task.history_name(), count=count)


def _confirm_delete(task: SyncTask) -> str:
    count = selectors.count_own_records(task.task_id, str(task.pk))
    text = ngettext(
        "Delete %(name)s? The %(count)d record that only it wrote is kept.",
        "Delete %(name)s? The %(count)d records that only it wrote are kept.",
        count,
    )
    return text % {"name": task, "count": count}


def _confirm_delete_with_data(task: SyncTask) -> str:
    count = selectors.count_own_records(task.task_id, str(task.pk))
    text = ngettext(
        "Delete %(name)s and the %(count)d record that only it wrote? This cannot be undone.",
        "Delete %(name)s and the %(count)d records that only it wrote? This cannot be undone.",
        count,
    )
    return text % {"name": task, "count": count}


def _confirm_retry(task: SyncTask) -> str:
    count = live_run(task).failed
    text = ngettext(
        "Retry the %(count)d failed collection of %(name)s?",
        "Retry the %(count)d failed collections of %(name)s?",
        count,
    )
    return text % {"name": task, "count": count}


def _unless_running(task: SyncTask) -> str:
    return str(HAS_ENDED) if task.status != RunStatus.RUNNING else ""


def _unless_ended(task: SyncTask) -> str:
    return str(IS_RUNNING) if task.status == RunStatus.RUNNING else ""


def _unless_failed(task: SyncTask) -> str:
    return _unless_ended(task) or ("" if live_run(task).failed else str(NONE_FAILED))


@admin.register(SyncTask)
class SyncTaskAdmin(OperationsMixin[SyncTask], LargeReadOnlyAdmin[SyncTask]):
    """Lists the newest runs first, each with a live progress bar."""

    list_display = (
        "title",
        "shown_period",
        "state",
        "progress",
        "rate",
        "time_left",
        "failed",
        "trigger",
        "requested_by",
        "started",
        "duration",
    )
    list_filter = (OutcomeFilter, "trigger")
    search_fields = ("task_id",)  # shows the search box; get_search_results searches
    search_help_text = _("Sync task ID, or task ID such as daily_collect")
    change_form_outer_after_template = "sync_tasks/sections.html"
    list_before_template = "sync_tasks/list_head.html"
    ordering = ("-started_at", "-id")
    fields = (
        "shown_id",
        "title",
        "shown_period",
        "state",
        "numbers",
        "reasons",
        "skipped_by_reason",
        "trigger",
        "requested_by",
        "started",
        "finished",
        "error",
        "retry_of",
    )
    operations = (
        Operation(
            slug="cancel",
            label=_("Cancel"),
            confirm_text=lambda task: (
                _now("Cancel %(name)s? Records stored so far are kept.") % {"name": task}
            ),
            run=_cancel,
            refusal=_unless_running,
            is_bulk=True,
        ),
        Operation(
            slug="retry",
            label=_("Retry failed collections"),
            confirm_text=_confirm_retry,
            run=_retry,
            refusal=_unless_failed,
            is_bulk=True,
        ),
        Operation(
            slug="delete",
            label=_("Delete, keep the records"),
            confirm_text=_confirm_delete,
            run=_delete,
            refusal=_unless_ended,
            is_deletion=True,
        ),
        Operation(
            slug="delete_with_data",
            label=_("Delete with its records"),
            confirm_text=_confirm_delete_with_data,
            run=_delete_with_data,
            refusal=_unless_ended,
            is_deletion=True,
            also_needs=("mengla.delete_record",),
        ),
    )

    class Media:
        css: ClassVar = {"all": ("collector/pages.css",)}
        js = ("sync_tasks/live.js",)

    @admin.display(description=_("name"))
    def title(self, task: SyncTask) -> str:
        """Return the name in the user's language."""
        return task.shown_name

    @admin.display(description=_("period"))
    def shown_period(self, task: SyncTask) -> str:
        """Return the period, or the first and the last one."""
        return task.shown_period or NOTHING

    def get_urls(self) -> list[URLPattern]:
        """Add the address of the live state of runs."""
        view = self.admin_site.admin_view(self.live_view)
        return [path("live/", view, name="sync_tasks_synctask_live"), *super().get_urls()]

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        """Look up once what holds back the runs of the page."""
        page = super().get_changelist_instance(request)
        obstacles = Obstacles()
        for task in page.result_list:
            task._live_run = live_run(task, obstacles.of(document_of(task)))
        return page

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show the run with the sections of other apps."""
        task = self.get_object(request, unquote(object_id)) if self.has_view_permission(request) else None
        parts = [section.page(request, document_of(task)) for section in sections()] if task else []
        return super().change_view(
            request, object_id, form_url, {"run_sections": parts} | (extra_context or {})
        )

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Allow the status, too: saved addresses of the list name it."""
        return lookup in ("status", "status__exact") or super().lookup_allowed(lookup, value, request)

    def get_queryset(self, request: HttpRequest) -> QuerySet[SyncTask]:
        """Do not load the plan, which is large, and the planner's token."""
        return super().get_queryset(request).defer("parameters", "planner_token")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[SyncTask], search_term: str
    ) -> tuple[QuerySet[SyncTask], bool]:
        """Find by id, or by the task's id."""
        text = search_term.strip()
        if not text:
            return queryset, False
        return queryset.filter(**{"pk" if ObjectId.is_valid(text) else "task_id": text}), False

    def live_view(self, request: HttpRequest) -> HttpResponse:
        """Return the state of the runs in ``ids`` as JSON; deleted runs are missing in it.

        With ``pieces=yes`` each run also has the parts of its page that list failures; these take longer.
        """
        if not self.has_view_permission(request):
            raise PermissionDenied
        ids = request.GET.get("ids", "").split(",")
        if len(ids) > MAX_WATCHED or not all(ObjectId.is_valid(one) for one in ids):
            raise BadRequest("ids: up to a hundred ids, separated by commas")
        tasks = self.get_queryset(request).filter(pk__in=ids)
        has_pieces = request.GET.get("pieces") == "yes"
        find_waiting = waiting_of if has_pieces else Obstacles().of
        runs = [
            live_run(task, find_waiting(document_of(task))).to_json()
            | (self._pieces(request, task) if has_pieces else {})
            for task in tasks
        ]
        response = JsonResponse({"runs": runs})
        add_never_cache_headers(response)
        return response

    def _pieces(self, request: HttpRequest, task: SyncTask) -> dict[str, Any]:
        pieces: dict[str, str] = {"reasons": self.reasons(task)}
        for section in sections():
            pieces |= section.pieces(request, document_of(task))
        return {"pieces": pieces}

    @admin.display(description=_("status"))
    def state(self, task: SyncTask) -> SafeString:
        """Return the status in its colour."""
        return _field(task, "status", colour=_live_run_of(task).colour)

    @admin.display(description=_("progress"))
    def progress(self, task: SyncTask) -> SafeString:
        """Return the progress bar."""
        context = {"run": _live_run_of(task), "address": _live_address()}
        return render_to_string("sync_tasks/bar.html", context)

    @admin.display(description=_("rate"))
    def rate(self, task: SyncTask) -> SafeString:
        """Return how many collections end per minute."""
        return _field(task, "rate")

    @admin.display(description=_("time left"))
    def time_left(self, task: SyncTask) -> SafeString:
        """Return how long it will still take at this rate, or what holds back all runs."""
        return _field(task, "time_left")

    @admin.display(description=_("failed"))
    def failed(self, task: SyncTask) -> SafeString:
        """Return how many collections failed."""
        return _field(task, "failed")

    @admin.display(description=_("duration"))
    def duration(self, task: SyncTask) -> SafeString:
        """Return how long it has been running, or ran."""
        return _field(task, "duration")

    @admin.display(description=_("started at"))
    def started(self, task: SyncTask) -> str:
        """Return when it started."""
        return instant_text(task.started_at)

    @admin.display(description=_("finished at"))
    def finished(self, task: SyncTask) -> str:
        """Return when it ended."""
        return instant_text(task.finished_at)

    @admin.display(description=_("progress"))
    def numbers(self, task: SyncTask) -> SafeString:
        """Return the progress bar with all numbers."""
        context = {"run": _live_run_of(task), "address": f"{_live_address()}?pieces=yes"}
        return render_to_string("sync_tasks/numbers.html", context)

    @admin.display(description=_("failures by reason"))
    def reasons(self, task: SyncTask) -> SafeString:
        """Return how many collections failed for each reason."""
        reasons = selectors.count_failures(task.task_id, str(task.pk))
        return render_to_string("sync_tasks/reasons.html", {"run_id": task.pk, "reasons": reasons})

    @admin.display(description=_("skipped"))
    def skipped_by_reason(self, task: SyncTask) -> str:
        """Return how many collections were skipped, by reason."""
        return skipped_text(task.skipped) or "-"

    @admin.display(description=_("error message"))
    def error(self, task: SyncTask) -> str:
        """Return why it failed or ended early."""
        return ERRORS.shown(vars(task)) or "-"


def _field(task: SyncTask, name: str, *, colour: str = "") -> SafeString:
    value = getattr(_live_run_of(task), name)
    mark = format_html(' class="collector-label" data-colour="{}"', colour) if colour else ""
    return format_html('<span data-run="{}" data-field="{}"{}>{}</span>', task.pk, name, mark, value)


def _live_run_of(task: SyncTask) -> LiveRun:
    """Return the state of a run, counted once for all columns of its row or all fields of its page."""
    if not hasattr(task, "_live_run"):  # the list sets it for each row
        task._live_run = live_run(task, waiting_of(document_of(task)))  # type: ignore[attr-defined]
    return cast(LiveRun, task._live_run)  # type: ignore[attr-defined]


def _live_address() -> str:
    return reverse("admin:sync_tasks_synctask_live")
