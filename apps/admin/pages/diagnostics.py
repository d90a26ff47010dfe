"""The page about the workers and the messages between processes."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from apps.admin.pages.access import SEE_COLLECTIONS, page, staff_view
from apps.admin.pages.dashboard.links import Links
from apps.core.liveness.bounded_reads import Dependency, Part, read_parts
from apps.core.liveness.clocks import known_clock_problems
from apps.core.liveness.processes import list_cluster_notes, list_clusters, list_heartbeats
from apps.core.scheduling.task_claims import count_tasks
from apps.core.time_texts import instant_text


@require_safe
@staff_view(sees=SEE_COLLECTIONS)
def diagnostics_page(request: HttpRequest) -> HttpResponse:
    """Show which workers are alive, and how many messages wait for them in Redis."""
    parts = {
        "workers": Part(Dependency.MONGODB, _workers),
        "clusters": Part(Dependency.REDIS, _clusters),
        "messages": Part(Dependency.REDIS, _messages),
        "clocks": Part(Dependency.MONGODB, known_clock_problems),
    }
    context = {"parts": read_parts(parts), "links": Links(request)}
    return page(request, "diagnostics.html", context, title=_("Workers and messages"))


def _workers() -> list[dict[str, Any]]:
    return [
        {
            "host": beat.host,
            "beat_at": instant_text(beat.beat_at),
            "age_seconds": beat.age_seconds,
            "is_stale": beat.is_stale,
        }
        for beat in list_heartbeats()
    ]


def _clusters() -> list[dict[str, Any]]:
    return [asdict(cluster) for cluster in list_clusters()]


def _messages() -> dict[str, int]:
    return asdict(count_tasks(note.cluster_id for note in list_cluster_notes()))
