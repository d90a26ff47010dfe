"""Answers that several addresses of this app give."""

from __future__ import annotations

from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from apps.admin.runs.serializers import StartedRunSerializer
from apps.mengla.runs.collect import Order
from apps.sync_tasks.choices import Trigger
from apps.sync_tasks.services import Started


def order_of(request: Request) -> Order:
    """Return who orders a run by this request."""
    return Order(request.user.get_username(), Trigger.API)


def started_response(started: Started) -> Response:
    """Answer that a run has started, and where it can be watched."""
    return Response(
        StartedRunSerializer(started).data,
        status=status.HTTP_202_ACCEPTED,
        headers={"Location": f"/api/sync-tasks/{started.run_id}"},
    )
