"""The page from which people start panel tasks."""

from __future__ import annotations

from typing import Any

from django.apps import apps as django_apps
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from apps.core.admin_base.display import local_time
from apps.core.admin_base.operations import note_history
from apps.core.admin_base.rights import may, may_look, name_of_user
from apps.core.errors import DomainError, NotFound
from apps.mengla.services.collect import Order
from apps.panels import selectors, services
from apps.sync_tasks.choices import RunStatus, Trigger

_LOOK, _START = "sync_tasks.view_synctask", "sync_tasks.change_synctask"


def run_task_view(request: HttpRequest) -> HttpResponse:
    """List the tasks with their last runs; a POST starts the one it names and shows its run."""
    if not may_look(request, _LOOK) or (request.method == "POST" and not may(request, _START)):
        raise PermissionDenied
    if request.method == "POST":
        return _start(request, request.POST.get("task", ""))
    context = admin.site.each_context(request) | {
        "title": _("Run a task"),
        "tasks": [_shown(view) for view in selectors.list_tasks()],
        "may_start": may(request, _START),
    }
    return TemplateResponse(request, "collector_admin/run_task.html", context)


def _start(request: HttpRequest, task_id: str) -> HttpResponse:
    order = Order(name_of_user(request), Trigger.MANUAL)
    try:
        run_id = services.run_task(task_id, order=order).run_id
    except NotFound as error:
        raise Http404 from error
    except DomainError as error:
        messages.error(request, error.message)
        return HttpResponseRedirect(reverse("admin:collector_run_task"))
    what = _("Started by hand.")
    note_history(request, django_apps.get_model("sync_tasks", "SyncTask").objects.filter(pk=run_id), what)
    messages.success(request, what)
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
            "status": RunStatus(run["status"]).label,
            "started_at": local_time(run["started_at"]),
            "percent": view.progress.percent if view.progress else 0,
        },
    }


def _address_of(run_id: str) -> str:
    return reverse("admin:sync_tasks_synctask_change", args=[run_id])
