"""The page from which people start panel tasks."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from apps.admin.pages.access import page, staff_view
from apps.core.admin_base.history import note_history
from apps.core.admin_base.rights import may, name_of_user
from apps.core.errors import DomainError, NotFound
from apps.core.stored_messages import HISTORY
from apps.core.time_texts import instant_text
from apps.mengla.runs.collect import Order
from apps.panels import selectors, services
from apps.sync_tasks.choices import RunStatus, Trigger, outcome_of
from apps.sync_tasks.selectors import rows_of

_LOOK, _START = "sync_tasks.view_synctask", "sync_tasks.change_synctask"
_STARTED = HISTORY.register("run_started", gettext_noop("Started manually."))


@staff_view(sees=_LOOK)
def run_task_page(request: HttpRequest) -> HttpResponse:
    """List the tasks with their last runs; a POST starts the one it names and shows its run.

    A large task is started only after it was confirmed. A GET that names a task asks to confirm it.
    """
    if request.method == "POST":
        if not may(request, _START):
            raise PermissionDenied
        task_id = request.POST.get("task", "")
        return _confirmation(request, task_id) or _start(request, task_id)
    if "task" in request.GET:
        if not may(request, _START):
            raise PermissionDenied
        return _ask(request, request.GET["task"])
    context = {
        "tasks": shown_tasks(),
        "may_start": may(request, _START),
    }
    return page(request, "run_task.html", context, title=_("Run a task"))


def shown_tasks() -> list[dict[str, Any]]:
    """Return the tasks with their last runs, as the template shows them."""
    return [_shown(view) for view in selectors.list_tasks()]


def _confirmation(request: HttpRequest, task_id: str) -> HttpResponse | None:
    """Return the page that asks to confirm a large task; None for a small or confirmed one."""
    try:
        count = services.count_task(task_id)
    except NotFound as error:
        raise Http404 from error
    if count is None or request.POST.get("confirmed") == "yes":
        return None
    name = selectors.find_task(task_id).name
    text = ngettext(
        "Run “%(name)s” now? This queues %(count)s collection.",
        "Run “%(name)s” now? This queues %(count)s collections.",
        count,
    )
    return _question(request, task_id, [text % {"name": name, "count": f"{count:,}"}])


def _ask(request: HttpRequest, task_id: str) -> HttpResponse:
    """Return the page that asks to confirm any task, and says what it does."""
    try:
        task = selectors.find_task(task_id)
    except NotFound as error:
        raise Http404 from error
    texts = [_("Run “%(name)s” now?") % {"name": task.name}, str(task.description)]
    count = services.count_at_most(task_id)
    text = ngettext(
        "This queues up to %(count)s collection.", "This queues up to %(count)s collections.", count
    )
    return _question(request, task_id, [*texts, text % {"count": f"{count:,}"}])


def _question(request: HttpRequest, task_id: str, texts: list[str]) -> HttpResponse:
    context = {
        "texts": texts,
        "hidden": [("task", task_id)],
        "action": reverse("admin:collector_run_task"),
        "label": _("Run now"),
        "back": reverse("admin:collector_run_task"),
    }
    return page(request, "confirmation.html", context, title=selectors.find_task(task_id).name)


def _start(request: HttpRequest, task_id: str) -> HttpResponse:
    order = Order(name_of_user(request), Trigger.MANUAL)
    try:
        run_id = services.run_task(task_id, order=order).run_id
    except DomainError as error:
        messages.error(request, error.message)
        return HttpResponseRedirect(reverse("admin:collector_run_task"))
    told = _STARTED()
    note_history(request, rows_of(run_id), told)
    messages.success(request, HISTORY.translated(told))
    return HttpResponseRedirect(_address_of(run_id))


def _shown(view: selectors.TaskView) -> dict[str, Any]:
    run = view.run
    return {
        "task": view.task,
        "is_running": run is not None and run["status"] == RunStatus.RUNNING,
        "last_run": None
        if run is None
        else {
            "address": _address_of(str(run["_id"])),
            "status": outcome_of(run["status"], failed=view.progress.failed if view.progress else 0).label,
            "started_at": instant_text(run["started_at"]),
            "percent": view.progress.percent if view.progress else 0,
        },
    }


def _address_of(run_id: str) -> str:
    return reverse("admin:sync_tasks_synctask_change", args=[run_id])
