"""The addresses of the scheduler: its state, pause and resume."""

from __future__ import annotations

from typing import ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.admin.permissions import TO_PAUSE
from apps.admin.scheduler.serializers import SchedulerSerializer, SwitchedSerializer
from apps.admin.scheduler.services import pause_scheduler, read_scheduler, resume_scheduler
from apps.auth.permissions import IsAdmin
from apps.core.api.viewsets import ViewSet


@extend_schema(tags=["operations"])
class SchedulerViewSet(ViewSet):
    """The schedules: their state, pausing and resuming them."""

    permission_classes = (IsAdmin,)
    changes: ClassVar = {
        "pause": TO_PAUSE,
        "resume": TO_PAUSE,
    }

    @extend_schema(
        operation_id="admin_scheduler_status",
        summary="The state of the schedules",
        responses=SchedulerSerializer,
    )
    def status(self, request: Request) -> Response:
        """Show the schedules."""
        return Response(SchedulerSerializer(read_scheduler()).data)

    @extend_schema(
        operation_id="admin_scheduler_pause",
        summary="Pause the schedules",
        description="They start no sync tasks until they are resumed; queued collections are still sent.",
        request=None,
        responses={200: SwitchedSerializer},
    )
    def pause(self, request: Request) -> Response:
        """Pause the schedules."""
        return Response(SwitchedSerializer(pause_scheduler(paused_by=request.user.get_username())).data)

    @extend_schema(
        operation_id="admin_scheduler_resume",
        summary="Resume the schedules",
        request=None,
        responses={200: SwitchedSerializer},
    )
    def resume(self, request: Request) -> Response:
        """Resume the schedules."""
        return Response(SwitchedSerializer(resume_scheduler(resumed_by=request.user.get_username())).data)
