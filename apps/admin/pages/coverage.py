"""The coverage page: which figures are stored, which are missing, and how gaps are filled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pymongo
from django.apps import apps as django_apps
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext_lazy
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.admin.pages import matrix
from apps.admin.pages.access import (
    CHANGE_COLLECTIONS,
    SEE_RECORDS,
    check_names,
    message_of,
    page,
    staff_view,
    wants_json,
)
from apps.admin.pages.cell import describe_cell, enqueue_cell, read_cell
from apps.categories.selectors import parents_of
from apps.core import market_clock
from apps.core.admin_base.history import note_history
from apps.core.admin_base.rights import may, name_of_user
from apps.core.errors import DomainError, InvalidInput
from apps.core.stored_messages import HISTORY
from apps.mengla.choices import GRANULARITIES, Action
from apps.mengla.monitoring.fill_cost import fill_cost
from apps.mengla.queries.plans import Plan
from apps.mengla.runs.collect import TASK_NAMES, Order, Selection, fill_plan, start
from apps.sync_tasks.errors import AlreadyRunning

_MAX_READ_SECONDS = 10.0
_RANGE = ("action", "granularity", "from", "to", "parent")
_CELL = ("action", "category", "granularity", "period")
_QUEUED = HISTORY.register("cell_queued", gettext_noop("Queued the collection of %(query)s."))
_ALREADY_COLLECTED = HISTORY.register(
    "cell_already_collected", gettext_noop("%(query)s is already being collected.")
)
_FILLING = HISTORY.register(
    "gaps_filled",
    ngettext_lazy(
        "Filling %(action)s, %(start)s to %(end)s, for %(count)d category.",
        "Filling %(action)s, %(start)s to %(end)s, for %(count)d categories.",
        "count",
    ),
)


@require_safe
@staff_view(sees=SEE_RECORDS)
def coverage_page(request: HttpRequest) -> HttpResponse:
    """Show the heat map; an error in the filters is shown above the form."""
    context: dict[str, Any] = {"choices": _choices(), "given": request.GET}
    try:
        check_names(request.GET, *_RANGE)
        filters = matrix.read_filters(request.GET, today=market_clock.today())
        with pymongo.timeout(_MAX_READ_SECONDS):
            found = matrix.read_matrix(filters)
    except InvalidInput as error:
        return page(
            request,
            "coverage.html",
            context | {"problem": message_of(error)},
            title=_("Coverage"),
            status=400,
        )
    context |= {
        "filters": filters,
        "matrix": found,
        "marks": matrix.MARKS,
        "way": parents_of(filters.parent.cat_id) if filters.parent else [],
        "can_change": may(request, CHANGE_COLLECTIONS),
        "script": {
            "cell": reverse("admin:collector_coverage_cell"),
            "action": filters.action.value,
            "granularity": filters.granularity.value,
            "states": {key: str(name) for key, name in matrix.MARKS.items()},
        },
        "period_keys": [period.key for period in reversed(found.periods)],
    }
    return page(request, "coverage.html", context, title=_("Coverage"))


@require_safe
@staff_view(sees=SEE_RECORDS)
def cell(request: HttpRequest) -> HttpResponse:
    """Show one cell and its record, if it has one: as a page, or as HTML for the script."""
    try:
        check_names(request.GET, *_CELL)
        query = read_cell(request.GET)
    except InvalidInput as error:
        return _refused(request, error, "coverage_cell.html", title=_("Record"))
    context = describe_cell(query) | {"can_change": may(request, CHANGE_COLLECTIONS)}
    if wants_json(request):
        html = render_to_string("collector/coverage_cell_piece.html", context, request)
        return JsonResponse({"html": html, "mark": context["mark"]})
    return page(request, "coverage_cell.html", context, title=_("Record"))


@require_POST
@staff_view(changes=CHANGE_COLLECTIONS)
def plan(request: HttpRequest) -> HttpResponse:
    """Enqueue a collection of one cell, even if its record is fresh."""
    try:
        check_names(request.POST, *_CELL)
        query = read_cell(request.POST)
    except InvalidInput as error:
        return _refused(request, error, "coverage_cell.html", title=_("Record"))
    enqueued = enqueue_cell(query, requested_by=name_of_user(request))
    told = (_QUEUED if enqueued.is_new else _ALREADY_COLLECTED)(query=query.identity)
    collection = django_apps.get_model("mengla", "Collection")
    row = collection(pk=enqueued.collection_id, identity=query.identity)
    note_history(request, [row], told)
    text = HISTORY.translated(told)
    if wants_json(request):
        return JsonResponse({"message": text, "mark": "F"})
    messages.success(request, text)
    return redirect(f"{reverse('admin:collector_coverage_cell')}?{urlencode(_cell_parameters(request.POST))}")


@require_http_methods(["GET", "HEAD", "POST"])
@staff_view(changes=CHANGE_COLLECTIONS)
def fill(request: HttpRequest) -> HttpResponse:
    """Show what filling a range costs (GET), or fill it (POST)."""
    given = request.POST if request.method == "POST" else request.GET
    try:
        check_names(given, *_RANGE, lists=("category",))
        filters = matrix.read_filters(given, today=market_clock.today())
        cat_ids = matrix.read_categories(given.getlist("category"))
        selection = Selection(cat_ids=cat_ids, actions=(filters.action,))
        wanted = fill_plan(filters.start, filters.end, selection=selection)
        if request.method == "POST":
            return _fill_now(request, filters, wanted)
        with pymongo.timeout(_MAX_READ_SECONDS):
            cost = fill_cost(wanted)
    except InvalidInput as error:
        return _refused(request, error, "coverage_fill.html", title=_("Fill gaps"))
    context = {"filters": filters, "cat_ids": cat_ids, "back": _address(filters), "cost": cost}
    return page(request, "coverage_fill.html", context, title=_("Fill gaps"))


def _fill_now(request: HttpRequest, filters: matrix.Filters, wanted: Plan) -> HttpResponse:
    order = Order(requested_by=name_of_user(request))
    try:
        started = start(wanted, order)
    except AlreadyRunning as error:
        messages.error(request, _with_link(error.message, error.run_id))
        return redirect(_address(filters))
    filling = _FILLING(
        action=filters.action.label,
        start=filters.start.dashed,
        end=filters.end.dashed,
        count=len(wanted.cat_ids),
    )
    run = django_apps.get_model("sync_tasks", "SyncTask")(
        pk=started.run_id, name=TASK_NAMES[wanted.task_id], period=wanted.period
    )
    note_history(request, [run], filling)
    messages.success(request, _with_link(HISTORY.translated(filling), started.run_id))
    return redirect(_address(filters))


def _choices() -> dict[str, Any]:
    return {
        "actions": Action.choices,
        "granularities": GRANULARITIES,
    }


def _cell_parameters(given: Mapping[str, str]) -> dict[str, str]:
    return {name: given.get(name, "") for name in ("action", "granularity", "category", "period")}


def _address(filters: matrix.Filters) -> str:
    return f"{reverse('admin:collector_coverage')}?{urlencode(filters.parameters())}"


def _with_link(text: str, run_id: str) -> str:
    address = reverse("admin:sync_tasks_synctask_change", args=[run_id])
    return format_html('{} <a href="{}">{}</a>', text, address, _("Sync task"))


def _refused(request: HttpRequest, error: DomainError, template: str, *, title: str) -> HttpResponse:
    if wants_json(request):
        return JsonResponse({"error": message_of(error)}, status=error.code.http_status)
    return page(request, template, {"problem": message_of(error)}, title=title, status=error.code.http_status)
