"""The operations page: a section for each kind of operation, with its state now."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from django.http import HttpRequest, HttpResponse, QueryDict
from django.template.loader import render_to_string
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from apps.admin.caches.services import read_cache_stats
from apps.admin.pages.access import SEE_COLLECTIONS, page, staff_view
from apps.admin.pages.operations.confirm import OPERATIONS
from apps.admin.pages.operations.operation import may_do
from apps.admin.pages.operations.work_form import form_context
from apps.admin.pages.run_task import shown_tasks
from apps.admin.pages.without_mongodb import note_visit, without_mongodb
from apps.admin.permissions import TO_BACKFILL
from apps.core.admin_base.outage_page import RETRY_AFTER_SECONDS
from apps.core.liveness.bounded_reads import Dependency, Part, read_parts
from apps.core.printable import facts_text, list_text
from apps.core.scheduling.schedules import list_schedules, title_of
from apps.core.storage.flags import SCHEDULER_PAUSED, read_flag
from apps.core.time_texts import instant_text
from apps.mengla.dispatch.breaker_control import read_breaker
from apps.mengla.monitoring.queue_state import queue_depth
from apps.panels.permissions import TO_RUN_TASKS
from apps.sync_tasks.choices import RunStatus
from apps.sync_tasks.selectors import count_by_status

Document = dict[str, Any]


def _outage(_request: HttpRequest) -> HttpResponse:
    # Rendered without the request, because its user is read from MongoDB; unknown rights show no buttons.
    body = render_to_string("collector/operations/outage.html", _context())
    return HttpResponse(body, status=503, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})


@require_safe
@without_mongodb(_outage)
@staff_view(sees=SEE_COLLECTIONS)
def operations_page(request: HttpRequest) -> HttpResponse:
    """Show every section with its state; a section that cannot be read is unavailable, the others are not."""
    note_visit(request)
    context = _context() | {
        "may": {slug.replace("-", "_"): may_do(request, one.needs) for slug, one in OPERATIONS.items()},
        "may_collect": may_do(request, TO_BACKFILL),
        "may_start": may_do(request, TO_RUN_TASKS),
    }
    return page(request, "operations/page.html", context, title=_("Operations"))


def _context() -> Document:
    found = read_parts({name: Part(needs, read) for name, (needs, read) in _PARTS.items()})
    parts = {
        name: {"available": result.available, "error": result.error, "data": result.data}
        for name, result in found.items()
    }
    return {"parts": parts, "form": parts["form"]["data"], "tasks": parts["tasks"]["data"]}


def _schedules() -> Document:
    pause, schedules = read_flag(SCHEDULER_PAUSED), list_schedules()
    obeying = [one for one in schedules if one.obeys_pause]
    running = [one for one in obeying if not one.is_paused]
    return {
        "is_paused": pause.is_set,
        "changed_by": pause.changed_by,
        "changed_at": instant_text(pause.changed_at) if pause.changed_at else "",
        "count": len(obeying),
        "paused_names": list_text([title_of(one.name) for one in obeying if one.is_paused]),
        "next": None
        if pause.is_set or not running
        else facts_text([title_of(running[0].name), instant_text(running[0].next_run_at)]),
    }


def _breaker() -> Document:
    status = read_breaker()
    return asdict(status) | {
        "since": instant_text(status.since) if status.since else "",
        "next_probe_at": instant_text(status.next_probe_at) if status.next_probe_at else "",
    }


def _queue() -> Document:
    depth = queue_depth()
    return {
        "runs": count_by_status()[RunStatus.RUNNING],
        "pending": depth.pending,
        "in_flight": depth.in_flight,
        "oldest_seconds": depth.oldest_pending_seconds,
    }


def _caches() -> Document:
    return asdict(read_cache_stats())


_PARTS: Mapping[str, tuple[Dependency, Callable[[], Any]]] = {
    "form": (Dependency.MONGODB, lambda: form_context(QueryDict())),
    "tasks": (Dependency.MONGODB, shown_tasks),
    "schedules": (Dependency.MONGODB, _schedules),
    "breaker": (Dependency.REDIS, _breaker),
    "queue": (Dependency.MONGODB, _queue),
    "caches": (Dependency.REDIS, _caches),
}
