"""Collections in the Django admin: they can be viewed, retried and cancelled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from bson import ObjectId
from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from apps.core.admin_base.display import Coloured, coloured
from apps.core.admin_base.model_admin import LargeReadOnlyAdmin, UncountedChangeList
from apps.core.admin_base.operations import Operation, OperationsMixin
from apps.core.storage.clock import server_now
from apps.core.stored_messages import HISTORY, Message
from apps.core.time_texts import RANGE_SIGN, duration_text, instant_text, seconds_between, stored_period_text
from apps.mengla.admin.category_search import categories_searched
from apps.mengla.admin.filters import (
    ActionFilter,
    EndedFilter,
    ErrorFilter,
    OutcomeFilter,
    PriorityFilter,
    RunFilter,
    StatusFilter,
    is_by_end,
)
from apps.mengla.admin.texts import category_text, look_up_names, names_of, set_title
from apps.mengla.choices import Action, CollectionStatus
from apps.mengla.dispatch.collection_control import (
    ONLY_ENDED,
    ONLY_QUEUED,
    cancel_collection,
    is_repeatable,
    retry_collection,
)
from apps.mengla.dispatch.waiting import waiting_of
from apps.mengla.models import Collection
from apps.mengla.monitoring import log_lines
from apps.mengla.store.attempts import attempts_of
from apps.mengla.store.selectors import find_collection, queue_position
from apps.mengla.words import ERRORS

COLOURS: dict[str, str] = {
    CollectionStatus.PENDING: "info",
    CollectionStatus.DISPATCHED: "primary",
    CollectionStatus.SUCCEEDED: "success",
    CollectionStatus.EMPTY: "warning",
    CollectionStatus.FAILED: "danger",
    CollectionStatus.CANCELLED: "default",
}


_RETRIED = HISTORY.register("collection_retried", gettext_noop("Retrying as collection %(id)s."))
_CANCELLED = HISTORY.register("figures_cancelled", gettext_noop("Cancelled the collection of %(figures)s."))


def _retry(collection: Collection, user: str) -> Message:
    new_id = retry_collection(collection_id=str(collection.pk), requested_by=user)
    return _RETRIED(id=new_id)


def _cancel(collection: Collection, user: str) -> Message:
    cancel_collection(collection_id=str(collection.pk), cancelled_by=user)
    return _CANCELLED(figures=collection.history_name())


def _name_of(collection: Collection) -> str:
    return HISTORY.translated(collection.history_name())


def _beginning_with(queryset: QuerySet[Collection], beginnings: Sequence[str]) -> QuerySet[Collection]:
    """Return the collections of these queries, in the order of an index: there may be very many."""
    wanted = Q()
    for beginning in beginnings:
        wanted |= Q(identity__startswith=beginning)
    return queryset.filter(wanted).order_by("identity", "-created_at")


class _CollectionList(UncountedChangeList):
    """The list of collections."""

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        """Return the order; by the end alone: no index has the id after it, which Django would add."""
        return ["-finished_at"] if is_by_end(request) else super().get_ordering(request, queryset)


@admin.register(Collection)
class CollectionAdmin(OperationsMixin[Collection], LargeReadOnlyAdmin[Collection]):
    """Lists the newest collections first, with their state, attempts, duration and reason."""

    list_display = (
        "action",
        "category",
        "period",
        "state",
        "attempts",
        "time_to_result",
        "reason",
        "priority",
        "requested_by",
        "created",
        "identity",
    )
    list_filter = (
        *(RunFilter, StatusFilter, ActionFilter, PriorityFilter, ErrorFilter),
        *(OutcomeFilter, EndedFilter),
    )
    search_fields = ("identity",)  # shows the search box; get_search_results does the search
    search_help_text = _(
        "ID, execution ID, category name or ID, or the beginning of a query such as hot:1001:month"
    )
    ordering = ("-id",)
    fields = (
        "shown_id",
        "identity",
        "action",
        "category_path",
        "period",
        "state",
        "reason",
        "error",
        "waiting",
        "attempts",
        "refusals",
        "attempt_table",
        "time_to_result",
        "priority",
        "is_forced",
        "requested_by",
        "execution_id",
        "created",
        "dispatched",
        "answer_due",
        "finished",
        "log_lines",
        "runs",
        "has_reader",
    )

    class Media:
        css: ClassVar = {"all": ("mengla/collections.css",)}

    operations = (
        Operation(
            slug="retry",
            label=_("Retry"),
            confirm_text=lambda one: _now("Retry %(figures)s?") % {"figures": _name_of(one)},
            run=_retry,
            refusal=lambda one: "" if is_repeatable(one.status) else str(ONLY_ENDED),
            is_bulk=True,
        ),
        Operation(
            slug="cancel",
            label=_("Cancel"),
            confirm_text=lambda one: _now("Cancel %(figures)s?") % {"figures": _name_of(one)},
            run=_cancel,
            refusal=lambda one: "" if one.status == CollectionStatus.PENDING else str(ONLY_QUEUED),
            is_bulk=True,
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Collection]:
        """Return the rows without the attempt tokens, which authorise answers, and the extra parameters."""
        unused = ("attempt_token", "past_tokens", "past_executions", "attempt_log", "extra")
        return super().get_queryset(request).defer(*unused)

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        """Return the order of the ends if they are filtered by, so that an index has both."""
        return ("-finished_at",) if is_by_end(request) else ("-id",)

    def get_changelist(self, request: HttpRequest, **_named: Any) -> type[ChangeList]:
        """Return the list that keeps the order of the ends."""
        return _CollectionList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Collection], search_term: str
    ) -> tuple[QuerySet[Collection], bool]:
        """Find by id, execution id, category or the beginning of the query; each search uses an index."""
        text = search_term.strip()
        if not text:
            return queryset, False
        if ObjectId.is_valid(text):
            return queryset.filter(Q(pk=text) | Q(execution_id=text)), False
        if ":" in text:
            return _beginning_with(queryset, [text]), False
        cat_ids = categories_searched(request, text)
        if cat_ids is None:
            return queryset.none(), False
        if not cat_ids or Collection.objects.filter(execution_id=text).exists():
            return queryset.filter(execution_id=text), False
        beginnings = [f"{action}:{cat_id}:" for action in Action.values for cat_id in cat_ids]
        return _beginning_with(queryset, beginnings), False

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Collection | None:
        """Return the row, with the name of its figures as its title."""
        return set_title(super().get_object(request, object_id, from_field))

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        """Look up once the names of the categories of the page."""
        page = super().get_changelist_instance(request)
        look_up_names(page.result_list)
        return page

    def prepare_rows(self, rows: Sequence[Collection]) -> None:
        """Look up once the names of their categories."""
        look_up_names(rows)

    def shown_name(self, row: Collection) -> str:
        """Return what it collects."""
        return _name_of(row)

    @admin.display(description=_("category"))
    def category_path(self, collection: Collection) -> str:
        """Return the name of the category below its parents', and its id."""
        return names_of(collection).path_text(collection.cat_id)

    @admin.display(description=_("category"))
    def category(self, collection: Collection) -> SafeString | str:
        """Return the name and the id of the category."""
        return category_text(collection.cat_id, names_of(collection))

    @admin.display(description=_("period"))
    def period(self, collection: Collection) -> SafeString:
        """Return the period, or the range of periods."""
        text = stored_period_text(f"{collection.start_key}{RANGE_SIGN}{collection.end_key}")
        return format_html('<span class="whitespace-nowrap">{}</span>', text)

    @admin.display(description=_("sync tasks"))
    def runs(self, collection: Collection) -> SafeString | str:
        """Return links to the sync tasks that asked for it."""
        links = format_html_join(
            ", ",
            '<a class="collector-link" href="{}">{}</a>',
            (
                (reverse("admin:sync_tasks_synctask_change", args=[run_id]), run_id)
                for run_id in collection.run_ids
            ),
        )
        return links or "-"

    @coloured(_("status"), COLOURS)
    def state(self, collection: Collection) -> Coloured:
        """Return the status, with its colour."""
        return Coloured((collection.status, collection.get_status_display()))

    @admin.display(description=_("time to result"))
    def time_to_result(self, collection: Collection) -> str:
        """Return the time from its creation to its end, or until now; its attempts took only a part of it."""
        until = collection.finished_at or server_now()
        return duration_text(seconds_between(collection.created_at, until))

    @admin.display(description=_("reason"))
    def reason(self, collection: Collection) -> str:
        """Return why it failed or has no figures."""
        if not (collection.error_code or collection.empty_reason):
            return "-"  # Django would put all choices into words to find the one of nothing
        return collection.get_error_code_display() or collection.get_empty_reason_display()

    @admin.display(description=_("error message"))
    def error(self, collection: Collection) -> str:
        """Return the error message."""
        return ERRORS.shown(vars(collection)) or "-"

    @admin.display(description=_("waiting reason"))
    def waiting(self, collection: Collection) -> str:
        """Return why it waits."""
        document = find_collection(str(collection.pk))
        if document is None:  # it was deleted meanwhile
            return "-"
        waiting = waiting_of(document, position=queue_position(document))
        return waiting.message if waiting else "-"

    @admin.display(description=_("latest attempts"))
    def attempt_table(self, collection: Collection) -> SafeString | str:
        """Return the attempts that are kept, the newest first."""
        document = find_collection(str(collection.pk)) or {}
        attempts = attempts_of(document) if document else []
        if not attempts:
            return "-"
        rows = [
            {
                "attempt": one,
                "started": instant_text(one.started_at),
                "ended": instant_text(one.ended_at),
                "duration": duration_text(one.seconds),
            }
            for one in attempts
        ]
        return render_to_string("mengla/attempts.html", {"rows": rows})

    @admin.display(description=_("log lines"))
    def log_lines(self, collection: Collection) -> SafeString:
        """Return its lines in the log of this machine, and the command that finds them."""
        collection_id, since = str(collection.pk), instant_text(collection.created_at)
        facts = {
            "found": log_lines.find_lines(collection_id),
            "command": log_lines.command_for(collection_id, since=since),
        }
        return render_to_string("mengla/log_lines.html", facts)

    @admin.display(description=_("created at"))
    def created(self, collection: Collection) -> str:
        """Return when it was enqueued."""
        return instant_text(collection.created_at)

    @admin.display(description=_("dispatched at"))
    def dispatched(self, collection: Collection) -> str:
        """Return when its last attempt was sent."""
        return instant_text(collection.dispatched_at)

    @admin.display(description=_("answer expected until"))
    def answer_due(self, collection: Collection) -> str:
        """Return when the current attempt expires."""
        return instant_text(collection.lease_until)

    @admin.display(description=_("finished at"))
    def finished(self, collection: Collection) -> str:
        """Return when it ended."""
        return instant_text(collection.finished_at)
