"""The admin's first page: the live state of the installation."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.models import LogEntry
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from apps.admin.pages.access import SEE_COLLECTIONS, page, staff_view, wants_json
from apps.admin.pages.charts import cache_chart, hours_chart
from apps.admin.pages.dashboard.attention import problems_of
from apps.admin.pages.dashboard.links import Links
from apps.admin.pages.dashboard.parts import read_dashboard
from apps.admin.pages.without_mongodb import note_visit, without_mongodb
from apps.core.admin_base.history import change_text, object_text
from apps.core.admin_base.outage_page import RETRY_AFTER_SECONDS
from apps.core.admin_base.paging import first_rows
from apps.core.admin_base.rights import may_view
from apps.core.time_texts import instant_text

POLL_SECONDS = 5
_RECENT_ACTIONS = 8
PART_TITLES = {
    "attention": gettext_lazy("Needs attention"),
    "state": gettext_lazy("State"),
    "hours": gettext_lazy("Collections per hour"),
    "cache": gettext_lazy("Cache hits by tier"),
    "queue": gettext_lazy("Queue"),
    "runs": gettext_lazy("Running sync tasks"),
    "schedules": gettext_lazy("Schedules"),
    "latency": gettext_lazy("Response times"),
}


def _outage(request: HttpRequest) -> HttpResponse:
    nowhere = Links(None)  # the lists are in MongoDB, and so are the permissions of the user
    if wants_json(request):
        return JsonResponse(_state(nowhere))
    # Rendered without the request, because its user is read from MongoDB.
    body = render_to_string("collector/dashboard_outage.html", _context(nowhere))
    return HttpResponse(body, status=503, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})


@require_safe
@without_mongodb(_outage)
@staff_view()
def dashboard(request: HttpRequest) -> HttpResponse:
    """Show the dashboard; without the permission to see collections, only the user's recent actions."""
    context: dict[str, Any] = {"recent_actions": _recent_actions(request)}
    if may_view(request, SEE_COLLECTIONS):
        note_visit(request)
        context |= _context(Links(request))
    return page(request, "dashboard.html", context, title=_("Dashboard"))


@require_safe
@without_mongodb(_outage)
@staff_view(sees=SEE_COLLECTIONS)
def live(request: HttpRequest) -> HttpResponse:
    """Return the present state to the dashboard's script, as data and as rendered HTML."""
    note_visit(request)
    return JsonResponse(_state(Links(request)))


def _context(links: Links) -> dict[str, Any]:
    state = _state(links)
    return {
        "parts": state["parts"],
        "charts": state["charts"],
        "generated_at": state["generated_at"],
        "live": {"url": reverse("admin:collector_live"), "seconds": POLL_SECONDS},
        "pieces": [
            {"name": name, "title": title, "html": state["html"][name], "has_chart": name in state["charts"]}
            for name, title in PART_TITLES.items()
        ],
    }


def _state(links: Links) -> dict[str, Any]:
    parts = read_dashboard()
    shown = {"parts": parts, "links": links, "problems": problems_of(parts, links)}
    return {
        "generated_at": instant_text(timezone.now()),
        "parts": parts,
        "html": {
            name: render_to_string(f"collector/parts/{name}.html", shown | {"part": parts.get(name)})
            for name in PART_TITLES
        },
        "charts": {
            "hours": hours_chart(parts["hours"]["data"]),
            "cache": cache_chart(parts["cache"]["data"]),
        },
    }


def _recent_actions(request: HttpRequest) -> list[dict[str, Any]]:
    entries = first_rows(LogEntry.objects.filter(user_id=request.user.pk).order_by("-id"), _RECENT_ACTIONS)
    return [
        {"at": instant_text(one.action_time), "object": object_text(one), "change": change_text(one)}
        for one in entries
    ]
