"""The page that asks before an operation, and the operation itself once the page is sent."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods
from redis import RedisError

from apps.admin.pages.access import SEE_COLLECTIONS, message_of, page, staff_view
from apps.admin.pages.inputs.faults import faults_of, texts_of
from apps.admin.pages.operations.operation import Choice, Operation, Question, may_do
from apps.admin.pages.operations.storage import STORAGE
from apps.admin.pages.operations.switches import SWITCHES
from apps.core.admin_base.history import note_history
from apps.core.admin_base.rights import name_of_user
from apps.core.errors import DomainError, redis_unavailable
from apps.core.storage.database.client import heavy_operations
from apps.core.stored_messages import HISTORY, Message
from apps.sync_tasks.errors import AlreadyRunning
from apps.sync_tasks.selectors import rows_of

OPERATIONS = {one.slug: one for one in (*SWITCHES, *STORAGE)}
_MAX_READ_SECONDS = 20.0


@require_http_methods(["GET", "HEAD", "POST"])
@staff_view(sees=SEE_COLLECTIONS)
def operation(request: HttpRequest, slug: str) -> HttpResponse:
    """Show what the operation would do (GET), or do it (POST); an error is shown on the same page."""
    found = OPERATIONS.get(slug)
    if found is None:
        raise Http404
    if not may_do(request, found.needs):
        raise PermissionDenied
    if request.method != "POST":
        return _page(request, found)
    try:
        done = found.run(request.POST, name_of_user(request))
    except DomainError as error:
        return _page(request, found, error)
    except RedisError:
        return _page(request, found, redis_unavailable())
    if isinstance(done.message, Message):
        note_history(request, rows_of(done.run_id), done.message, about=found.section)
        messages.success(request, HISTORY.translated(done.message))
    else:
        messages.info(request, done.message)
    if done.run_id:
        return redirect("admin:sync_tasks_synctask_change", done.run_id)
    return redirect(reverse("admin:collector_operations"))


def _page(request: HttpRequest, found: Operation, problem: DomainError | None = None) -> HttpResponse:
    question: Question | None = None
    try:
        with heavy_operations(_MAX_READ_SECONDS):
            question = found.ask()
    except DomainError as error:
        problem = problem or error
    except RedisError:
        problem = problem or redis_unavailable()
    context = {
        "operation": found,
        "question": question,
        "problem": problem and message_of(problem),
        "faults": texts_of(faults_of(problem), "limit", "word"),
        "run_id": problem.run_id if isinstance(problem, AlreadyRunning) else "",
        "choices": [_shown(request, choice, problem) for choice in question.choices] if question else [],
        "limit": request.POST.get("limit", question.limit if question else ""),
    }
    status = problem.code.http_status if problem else 200
    return page(request, "operations/confirm.html", context, title=str(found.label), status=status)


def _shown(request: HttpRequest, choice: Choice, problem: DomainError | None) -> dict[str, Any]:
    """Return the checkboxes with their state: as they were sent, at first all checked."""
    fault = texts_of(faults_of(problem), choice.name).get(choice.name, "")
    sent = request.POST.getlist(choice.name)
    options = [(value, name, request.method != "POST" or value in sent) for value, name in choice.options]
    return {"name": choice.name, "label": choice.label, "options": options, "fault": fault}
