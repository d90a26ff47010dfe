"""What other apps share of responses and pages: that a run has started, why something waits, and sections.

Sections are parts of the page of a run, which the app that does the work of runs adds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from django.http import HttpRequest
from rest_framework import serializers, status
from rest_framework.response import Response

from apps.core.api.serializers import UtcDateTimeField
from apps.sync_tasks.work import Started, Waiting


class WaitingSerializer(serializers.Serializer[Any]):
    """Why something waits."""

    code = serializers.CharField(help_text="The reason as a stable code.")
    message = serializers.CharField(help_text="The reason as a text in the caller's language.")
    since = UtcDateTimeField(allow_null=True, help_text="Null when it is not known.")


def started_response(started: Started, **facts: str) -> Response:
    """Return 202 for a started run: ``Location`` is its address, ``facts`` are more fields of the body."""
    return Response(
        {"sync_task_id": started.run_id} | facts,
        status=status.HTTP_202_ACCEPTED,
        headers={"Location": f"/api/sync-tasks/{started.run_id}"},
    )


def waiting_json(waiting: Waiting | None) -> Any:
    """Return the reason as :class:`WaitingSerializer` describes it, None when there is none.

    The instant is UTC without zone, and the envelope writes it as such.
    """
    if waiting is None:
        return None
    return {"code": waiting.code, "message": waiting.message, "since": waiting.since}


class RunSection(Protocol):
    """A section below the fields of a run.

    Some of its elements may be refreshed while the run is under way: each has the attributes ``data-run``,
    with the id of the run, and ``data-piece``, with the name of the piece. A run is given as the selectors
    read it, without its parameters.
    """

    def page(self, request: HttpRequest, run: Mapping[str, Any]) -> str:
        """Return the HTML of the section; empty if the run has none."""

    def pieces(self, request: HttpRequest, run: Mapping[str, Any]) -> dict[str, str]:
        """Return the HTML of the elements to refresh, by the names of the pieces."""


_sections: list[RunSection] = []


def register_section(section: RunSection) -> None:
    """Add a section to the pages of all runs; called once, when the admin is loaded."""
    _sections.append(section)


def sections() -> list[RunSection]:
    """Return the sections in the order in which they were added."""
    return list(_sections)
