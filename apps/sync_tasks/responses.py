"""The response of every address that starts a run."""

from __future__ import annotations

from rest_framework import status
from rest_framework.response import Response

from apps.sync_tasks.work import Started


def started_response(started: Started, *, id_field: str = "sync_task_id", **facts: str) -> Response:
    """Return 202 for a started run: ``Location`` is its address, ``facts`` are more fields of the body."""
    return Response(
        {id_field: started.run_id} | facts,
        status=status.HTTP_202_ACCEPTED,
        headers={"Location": f"/api/sync-tasks/{started.run_id}"},
    )
