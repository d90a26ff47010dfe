"""The addresses under ``/api/sync-tasks``."""

from __future__ import annotations

from typing import ClassVar

from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.auth.permissions import IsAdmin
from apps.core import market_clock
from apps.core.api.openapi.facts import answers
from apps.core.api.viewsets import ViewSet
from apps.core.errors import Conflict, NotFound
from apps.sync_tasks import selectors, services
from apps.sync_tasks.permissions import TO_CONTROL, TO_DELETE
from apps.sync_tasks.responses import started_response
from apps.sync_tasks.serializers import (
    DeletedSyncTaskSerializer,
    DeletionSerializer,
    RetriedSyncTaskSerializer,
    SyncTaskDetailSerializer,
    SyncTaskPageSerializer,
    SyncTaskQuerySerializer,
    SyncTaskSerializer,
    SyncTasksTodaySerializer,
)


@extend_schema(tags=["sync-tasks"])
class SyncTaskViewSet(ViewSet):
    """Sync tasks: list, show, cancel, retry and delete."""

    permission_classes = (IsAdmin,)
    changes: ClassVar = {
        "cancel": TO_CONTROL,
        "retry": TO_CONTROL,
        "destroy": TO_DELETE,
    }
    inputs: ClassVar = {"list": SyncTaskQuerySerializer, "destroy": DeletionSerializer}
    path_examples: ClassVar = {"run_id": "683d3a5f9b1e8a5d2c4f7e10"}

    @extend_schema(
        operation_id="sync_tasks_list",
        summary="List sync tasks",
        description="Newest first.",
        parameters=[SyncTaskQuerySerializer],
        responses=SyncTaskPageSerializer,
    )
    def list(self, request: Request) -> Response:
        """List sync tasks."""
        query = self.valid_input(request)
        page = selectors.list_runs(**query.list_arguments())
        tasks = SyncTaskSerializer(page.rows, many=True).data
        return Response({"tasks": tasks, "next_cursor": page.next_cursor})

    @extend_schema(
        operation_id="sync_tasks_today",
        summary="Sync tasks of today",
        description="Those that started today (Asia/Shanghai) or still run, newest first, at most 200.",
        responses=SyncTasksTodaySerializer,
    )
    def today(self, request: Request) -> Response:
        """List the sync tasks of today."""
        runs = selectors.list_today(market_clock.today())
        return Response({"tasks": SyncTaskSerializer(runs, many=True).data})

    @extend_schema(
        operation_id="sync_task",
        summary="Show a sync task",
        description="With its progress and the first 20 of its failures.",
        responses=SyncTaskDetailSerializer,
    )
    def retrieve(self, request: Request, run_id: str) -> Response:
        """Show a sync task."""
        run = selectors.find_run(run_id)
        if run is None:
            raise NotFound(_("There is no such sync task."))
        return Response(SyncTaskDetailSerializer(run).data)

    @extend_schema(
        operation_id="sync_task_cancel",
        summary="Cancel a sync task",
        description="Collections that only it waits for are cancelled. 409 when it has ended.",
        request=None,
        responses={200: SyncTaskSerializer},
    )
    @answers(Conflict)
    def cancel(self, request: Request, run_id: str) -> Response:
        """Cancel a sync task."""
        run = services.cancel_run(run_id=run_id, cancelled_by=request.user.get_username())
        return Response(SyncTaskSerializer(run).data)

    @extend_schema(
        operation_id="sync_task_retry",
        summary="Retry failed collections",
        description="Starts a new sync task. 409 while this one runs, or when nothing failed in it.",
        request=None,
        responses={202: RetriedSyncTaskSerializer},
    )
    @answers(Conflict)
    def retry(self, request: Request, run_id: str) -> Response:
        """Retry the failed collections."""
        started = services.retry_run(run_id=run_id, requested_by=request.user.get_username())
        return started_response(started, retry_of=run_id.lower())

    @extend_schema(
        operation_id="sync_task_delete",
        summary="Delete a sync task",
        description="409 while it runs.",
        request=DeletionSerializer,
        responses={200: DeletedSyncTaskSerializer},
    )
    @answers(Conflict)
    def destroy(self, request: Request, run_id: str) -> Response:
        """Delete a sync task."""
        deletion = self.valid_input(request)
        deleted = services.delete_run(
            run_id=run_id,
            is_data_deleted=deletion.validated_data["delete_data"],
            deleted_by=request.user.get_username(),
        )
        return Response({"id": run_id.lower(), "deleted": True, "records_deleted": deleted.records})
