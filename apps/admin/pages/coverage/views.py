"""The views of the coverage page: the overview, the map of a data set, what changes on them, and a cell."""

from __future__ import annotations

import time
from typing import Any

import pymongo
from django.apps import apps as django_apps
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from django.views.decorators.http import require_POST, require_safe

from apps.admin.pages.access import (
    CHANGE_COLLECTIONS,
    SEE_COLLECTIONS,
    SEE_RECORDS,
    check_names,
    json_problem,
    message_of,
    page,
    staff_view,
    wants_json,
)
from apps.admin.pages.coverage import live
from apps.admin.pages.coverage.cell import describe_cell, enqueue_cell, read_cell
from apps.admin.pages.coverage.filters import Filters, form_of, period_controls, read_begun_filters
from apps.admin.pages.coverage.matrix import LOOKS, Matrix, read_matrix
from apps.admin.pages.coverage.overview import Overview, read_overview
from apps.admin.pages.inputs.faults import faults_of
from apps.categories.selectors import parents_of
from apps.core import market_clock
from apps.core.admin_base.history import note_history
from apps.core.admin_base.rights import may, may_view, name_of_user
from apps.core.errors import DomainError, InvalidInput
from apps.core.stored_messages import HISTORY
from apps.mengla.choices import Action
from apps.mengla.monitoring.coverage import Mark

MAX_READ_SECONDS = 10.0
RANGE = ("action", "granularity", "from", "to", "parent")
_FACTS = ("identity", "action", "cat_id", "start_key", "end_key")  # of a collection, for its name
_CELL = ("action", "category", "granularity", "period")
_QUEUED = HISTORY.register("figures_queued", gettext_noop("Queued the collection of %(figures)s."))
_ALREADY_COLLECTED = HISTORY.register(
    "figures_already_collected", gettext_noop("%(figures)s: already being collected.")
)


@require_safe
@staff_view(sees=SEE_RECORDS)
def coverage_page(request: HttpRequest) -> HttpResponse:
    """Show the overview or, if a data set is chosen, its map; an error is shown above the filters."""
    title = _("Coverage")
    try:
        check_names(request.GET, *RANGE)
        filters = read_begun_filters(request.GET, today=market_clock.today())
        with pymongo.timeout(MAX_READ_SECONDS):
            state = live.read_state(filters)
            found = _read(filters)
    except InvalidInput as error:
        context: dict[str, Any] = {
            "problem": message_of(error),
            "form": form_of(request.GET, None, faults_of(error)),
        }
        return page(request, "coverage.html", context, title=title, status=400)
    context = {
        "filters": filters,
        "form": form_of(request.GET, filters),
        "overview_address": _overview_address(filters),
        "top_address": filters.address(parent=""),
        "way": [
            {"category": one, "address": filters.address(parent=one.cat_id)}
            for one in (parents_of(filters.parent.cat_id) if filters.parent else ())
        ],
        "can_change": may(request, CHANGE_COLLECTIONS),
        "can_see_collections": may_view(request, SEE_COLLECTIONS),
    }
    if found is None:
        return page(request, "coverage.html", context, title=title)
    context["script"] = {
        "live": f"{reverse('admin:collector_coverage_live')}?{urlencode(filters.parameters())}",
        "cell": reverse("admin:collector_coverage_cell"),
        "action": filters.action.value if filters.action else "",
        "granularity": filters.granularity.value,
        "states": {look.letter: [look.sign, str(look.name)] for look in LOOKS.values()},
        **live.schedule(state, found.is_under_way, content=found.live()),
    }
    context["fill_periods"] = period_controls({}, filters, filters.granularity, {}, form="fill")
    name = "overview" if isinstance(found, Overview) else "matrix"
    return page(request, "coverage.html", context | {"figures": found, name: found}, title=title)


@require_safe
@staff_view(sees=SEE_RECORDS)
def changes(request: HttpRequest) -> HttpResponse:
    """Return to the script what has changed on the page, and when to ask again."""
    started_at = time.monotonic()
    try:
        check_names(request.GET, *RANGE, "seen")
        filters = read_begun_filters(request.GET, today=market_clock.today())
        with pymongo.timeout(MAX_READ_SECONDS):
            state = live.read_state(filters)
            if live.is_unchanged(state, request.GET.get("seen", "")):
                return JsonResponse(live.nothing_new(state))
            found = _read(filters)
    except InvalidInput as error:
        return json_problem(message_of(error), status=400)
    if found is None:
        return JsonResponse(live.nothing_new(state))
    content = found.live()
    answer = live.schedule(
        state, found.is_under_way, content=content, read_seconds=time.monotonic() - started_at
    )
    if answer["seen"] != request.GET.get("seen", ""):
        answer["content"] = content
    return JsonResponse(answer)


@require_safe
@staff_view(sees=SEE_RECORDS)
def cell(request: HttpRequest) -> HttpResponse:
    """Show one cell and its record, if it has one: as a page, or as HTML for the script."""
    try:
        check_names(request.GET, *_CELL)
        query = read_cell(request.GET)
    except InvalidInput as error:
        return refused(request, error, "coverage_cell.html", title=_("Coverage"))
    parameters = {name: request.GET.get(name, "") for name in _CELL}
    context = describe_cell(query) | {
        "address": f"{reverse('admin:collector_coverage_cell')}?{urlencode(parameters)}",
        "map": Filters(Action(query.action), query.start, query.start).address(),
        "can_change": may(request, CHANGE_COLLECTIONS),
        "can_see_collections": may_view(request, SEE_COLLECTIONS),
    }
    if wants_json(request):
        # A page needs no link to itself.
        html = render_to_string("collector/coverage_cell_piece.html", context | {"is_panel": True}, request)
        return JsonResponse(
            {
                "html": html,
                "mark": context["look"].letter,
                "text": context["state_name"],
                "is_under_way": context["cell"].is_under_way,
            }
        )
    return page(request, "coverage_cell.html", context, title=_("Coverage"))


@require_POST
@staff_view(changes=CHANGE_COLLECTIONS)
def plan(request: HttpRequest) -> HttpResponse:
    """Enqueue a collection of one cell, even if its record is fresh."""
    try:
        check_names(request.POST, *_CELL)
        query = read_cell(request.POST)
    except InvalidInput as error:
        return refused(request, error, "coverage_cell.html", title=_("Coverage"))
    enqueued = enqueue_cell(query, requested_by=name_of_user(request))
    facts = {name: enqueued.collection[name] for name in _FACTS}
    row = django_apps.get_model("mengla", "Collection")(pk=enqueued.collection_id, **facts)
    told = (_QUEUED if enqueued.is_new else _ALREADY_COLLECTED)(figures=row.history_name())
    note_history(request, [row], told)
    text = HISTORY.translated(told)
    if wants_json(request):
        return JsonResponse({"message": text, "mark": LOOKS[Mark.QUEUED].letter})
    messages.success(request, text)
    parameters = {name: request.POST.get(name, "") for name in _CELL}
    return redirect(f"{reverse('admin:collector_coverage_cell')}?{urlencode(parameters)}")


def refused(
    request: HttpRequest, error: DomainError, template: str, *, title: str, **context: Any
) -> HttpResponse:
    """Show an input that is not valid: on the page, or to the script."""
    if wants_json(request):
        return json_problem(message_of(error), status=error.code.http_status)
    context["problem"] = message_of(error)
    return page(request, template, context, title=title, status=error.code.http_status)


def _read(filters: Filters) -> Matrix | Overview | None:
    return read_matrix(filters) if filters.action else read_overview(filters)


def _overview_address(filters: Filters) -> str:
    """Return the address of the overview; from the map of one period it leads to the default range."""
    is_one = filters.start == filters.end
    return filters.address(action="", **({"from": "", "to": ""} if is_one else {}))
