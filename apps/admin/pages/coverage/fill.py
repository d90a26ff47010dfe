"""Filling the gaps of a range: what it costs, and its start."""

from __future__ import annotations

from typing import Any

import pymongo
from django.apps import apps as django_apps
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import ngettext_lazy
from django.views.decorators.http import require_http_methods

from apps.admin.pages.access import CHANGE_COLLECTIONS, check_names, page, staff_view
from apps.admin.pages.coverage.filters import (
    MAX_CATEGORIES,
    Filters,
    period_controls,
    read_categories,
    read_filters,
)
from apps.admin.pages.coverage.views import MAX_READ_SECONDS, RANGE, refused
from apps.admin.pages.inputs.choices import read_action
from apps.admin.pages.inputs.faults import faults_of
from apps.categories.selectors import categories_text
from apps.core import market_clock
from apps.core.admin_base.history import note_history
from apps.core.admin_base.rights import name_of_user
from apps.core.errors import Faults, InvalidInput
from apps.core.stored_messages import HISTORY
from apps.mengla.choices import Action
from apps.mengla.monitoring.fill_cost import fill_cost
from apps.mengla.queries.plans import Plan
from apps.mengla.runs.collect import TASK_NAMES, Order, Selection, fill_plan, start
from apps.sync_tasks.errors import AlreadyRunning

_FILLING = HISTORY.register(
    "gaps_filled",
    ngettext_lazy(
        "Filling %(action)s, %(start)s to %(end)s, for %(count)d category.",
        "Filling %(action)s, %(start)s to %(end)s, for %(count)d categories.",
        "count",
    ),
)


@require_http_methods(["GET", "HEAD", "POST"])
@staff_view(changes=CHANGE_COLLECTIONS)
def fill(request: HttpRequest) -> HttpResponse:
    """Show what filling a range costs (GET), or fill it (POST)."""
    given = request.POST if request.method == "POST" else request.GET
    try:
        faults = Faults()
        with faults.of("action"):
            check_names(given, *RANGE, lists=("category",))
        with faults.of("action"):
            action = read_action(given.get("action", ""))
        with faults.of("category"):
            cat_ids = read_categories(given.getlist("category"))
        with faults.of("from"):
            filters = read_filters(given, today=market_clock.today())
        faults.check()
        selection = Selection(cat_ids=cat_ids, actions=(action,))
        wanted = fill_plan(filters.start, filters.end, selection=selection)
        if request.method == "POST":
            return _fill_now(request, filters, action, wanted)
        with pymongo.timeout(MAX_READ_SECONDS):
            cost = fill_cost(wanted)
    except InvalidInput as error:
        return refused(
            request, error, "coverage_fill.html", title=_("Fill gaps"), **_form_of(given, faults_of(error))
        )
    context = {
        "filters": filters,
        "cat_ids": cat_ids,
        "category_names": categories_text(cat_ids),
        "back": filters.address(),
        "cost": cost,
    }
    return page(request, "coverage_fill.html", context, title=_("Fill gaps"))


def _form_of(given: QueryDict, faults: dict[str, list[str]]) -> dict[str, Any]:
    """Return the form that a refused range is corrected in: the periods, and all that was chosen besides."""
    kept = [(name, given[name]) for name in ("action", "granularity", "parent") if given.get(name)]
    return {
        "periods": period_controls(given, None, given.get("granularity", ""), faults),
        "kept": kept + [("category", cat_id) for cat_id in given.getlist("category")[:MAX_CATEGORIES]],
    }


def _fill_now(request: HttpRequest, filters: Filters, action: Action, wanted: Plan) -> HttpResponse:
    order = Order(requested_by=name_of_user(request))
    try:
        started = start(wanted, order)
    except AlreadyRunning as error:
        messages.error(request, _with_link(error.message, error.run_id))
        return redirect(filters.address())
    filling = _FILLING(
        action=action.label,
        start=filters.start.dashed,
        end=filters.end.dashed,
        count=len(wanted.cat_ids),
    )
    run = django_apps.get_model("sync_tasks", "SyncTask")(
        pk=started.run_id, name=TASK_NAMES[wanted.task_id], period=wanted.period
    )
    note_history(request, [run], filling)
    messages.success(request, _with_link(HISTORY.translated(filling), started.run_id))
    return redirect(filters.address())


def _with_link(text: str, run_id: str) -> str:
    address = reverse("admin:sync_tasks_synctask_change", args=[run_id])
    return format_html('{} <a href="{}">{}</a>', text, address, _("Sync task"))
