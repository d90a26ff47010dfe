"""Starting a custom collection: the form, what it costs, and the start."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, gettext_noop
from django.views.decorators.http import require_http_methods

from apps.admin.pages.access import message_of, page, staff_view
from apps.admin.pages.inputs.faults import faults_of
from apps.admin.pages.operations.operation import may_do
from apps.admin.pages.operations.work_form import Work, cost_of, form_context, read_work
from apps.admin.permissions import TO_BACKFILL
from apps.core.admin_base.history import note_history
from apps.core.admin_base.rights import name_of_user
from apps.core.errors import DomainError
from apps.core.stored_messages import HISTORY, Message
from apps.core.time_texts import period_text
from apps.mengla.runs.collect import Order, start
from apps.sync_tasks.errors import AlreadyRunning
from apps.sync_tasks.selectors import rows_of

_STARTED = HISTORY.register(
    "custom_collection_started",
    gettext_noop("Started collecting %(actions)s, %(during)s. Categories: %(categories)d. %(mode)s"),
)
_FRESH_SKIPPED = gettext_lazy("Data that is up to date is skipped.")
_FORCED = gettext_lazy("Data that is up to date is collected again.")
_FIELDS = ("action", "category", "granularity", "from", "to", "force", "level2")


@require_http_methods(["GET", "HEAD", "POST"])
@staff_view(changes=TO_BACKFILL.every[0])
def collect(request: HttpRequest) -> HttpResponse:
    """Show the form and what it would cost (GET), or start the run and lead to its page (POST)."""
    given = request.POST if request.method == "POST" else request.GET
    context: dict[str, Any] = {}
    try:
        if request.method == "POST":
            return _start(request, read_work(given))
        if not given:
            return _page(request, given, context)
        work = read_work(given, converts=True)
        cost, is_exact = cost_of(work)
    except DomainError as error:
        context = {"problem": message_of(error), "faults": faults_of(error)}
        if isinstance(error, AlreadyRunning):
            context["run_address"] = _run_address(error.run_id)
        return _page(request, given, context, status=error.code.http_status)
    context = {
        "work": work,
        "cost": cost,
        "is_exact": is_exact,
        "periods": period_text(work.start, work.end),
        "hidden": [(name, value) for name in _FIELDS for value in _sent(work, given, name)],
    }
    return _page(request, given, context)


def _sent(work: Work, given: QueryDict, name: str) -> list[str]:
    """Return the values of a field as they are confirmed: the periods that the page has shown."""
    shown = {"from": work.start.dashed, "to": work.end.dashed}
    return [shown[name]] if name in shown else list(given.getlist(name))


def _page(
    request: HttpRequest, given: QueryDict, context: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    context |= {
        "form": form_context(given, context.get("faults")),
        "may_collect": may_do(request, TO_BACKFILL),
    }
    return page(request, "operations/collect.html", context, title=_("Custom collection"), status=status)


def _start(request: HttpRequest, work: Work) -> HttpResponse:
    run_id = start(work.plan, Order(name_of_user(request))).run_id
    said = _said(work)
    note_history(request, rows_of(run_id), said)
    messages.success(request, HISTORY.translated(said))
    return redirect(_run_address(run_id))


def _said(work: Work) -> Message:
    return _STARTED(
        actions=tuple(action.label for action in work.actions),
        during_period=work.plan.period,
        categories=len(work.plan.cat_ids),
        mode=_FORCED if work.is_forced else _FRESH_SKIPPED,
    )


def _run_address(run_id: str) -> str:
    return reverse("admin:sync_tasks_synctask_change", args=[run_id])
