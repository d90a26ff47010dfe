"""Parts of responses that other apps use, too: that a run has started, and why something waits."""

from __future__ import annotations

from typing import Any

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
