"""The admin's first page: the live state of the installation."""

from __future__ import annotations

from functools import wraps
from typing import Any

import structlog
from django.contrib.admin.models import LogEntry
from django.db.utils import DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe
from pymongo.errors import PyMongoError

from apps.admin.pages.access import SEE_COLLECTIONS, View, page, staff_view, wants_json
from apps.admin.pages.charts import cache_chart, hours_chart
from apps.admin.pages.dashboard.attention import problems_of
from apps.admin.pages.dashboard.links import Links
from apps.admin.pages.dashboard.parts import read_dashboard
from apps.core.admin_base.history import change_text, object_text
from apps.core.admin_base.outage_page import RETRY_AFTER_SECONDS
from apps.core.admin_base.paging import first_rows
from apps.core.admin_base.rights import may_view
from apps.core.storage.clock import unix_now
from apps.core.storage.outages import is_mongo_outage, mongo_outage, redis_outage
from apps.core.time_texts import instant_text

logger = structlog.get_logger(__name__)

POLL_SECONDS = 5
# Permissions are stored in MongoDB. While it is down, a user who saw the dashboard within the last hour may
# see it again: the session, which has a copy in Redis, holds the time of that visit.
_VISIT_KEY = "dashboard_seen_at"
_NOTE_VISIT_SECONDS = 300
_VISIT_VALID_SECONDS = 3600
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


def _without_mongodb(view: View) -> View:
    """Decorate a view: while MongoDB is down, show what is known without it.

    Only a user who saw the dashboard lately gets that; all others get the outage page.
    """

    @wraps(view)
    def wrapper(request: HttpRequest) -> HttpResponse:
        if mongo_outage.is_known and _visited_lately(request):
            return _outage(request)
        try:
            return view(request)
        except (PyMongoError, DatabaseError) as error:
            if not is_mongo_outage(error):
                raise
            # Without Redis, reading the session would ask MongoDB again.
            if redis_outage.is_known or not _visited_lately(request):
                raise
            logger.warning("dashboard_without_mongodb", error=type(error).__name__)
            return _outage(request)

    return wrapper


@require_safe
@_without_mongodb
@staff_view()
def dashboard(request: HttpRequest) -> HttpResponse:
    """Show the dashboard; without the permission to see collections, only the user's recent actions."""
    context: dict[str, Any] = {"recent_actions": _recent_actions(request)}
    if may_view(request, SEE_COLLECTIONS):
        _note_visit(request)
        context |= _context(Links(request))
    return page(request, "dashboard.html", context, title=_("Dashboard"))


@require_safe
@_without_mongodb
@staff_view(sees=SEE_COLLECTIONS)
def live(request: HttpRequest) -> HttpResponse:
    """Return the present state to the dashboard's script, as data and as rendered HTML."""
    _note_visit(request)
    return JsonResponse(_state(Links(request)))


def _outage(request: HttpRequest) -> HttpResponse:
    nowhere = Links(None)  # the lists are in MongoDB, and so are the permissions of the user
    if wants_json(request):
        return JsonResponse(_state(nowhere))
    # Rendered without the request, because its user is read from MongoDB.
    body = render_to_string("collector/dashboard_outage.html", _context(nowhere))
    return HttpResponse(body, status=503, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})


def _visited_lately(request: HttpRequest) -> bool:
    try:
        visited_at = request.session.get(_VISIT_KEY)
    except (PyMongoError, DatabaseError):  # no copy of the session in Redis
        return False
    return isinstance(visited_at, float) and unix_now() - visited_at < _VISIT_VALID_SECONDS


def _note_visit(request: HttpRequest) -> None:
    visited_at = request.session.get(_VISIT_KEY)
    if not isinstance(visited_at, float) or unix_now() - visited_at > _NOTE_VISIT_SECONDS:
        request.session[_VISIT_KEY] = unix_now()


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
