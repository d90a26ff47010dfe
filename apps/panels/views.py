"""The addresses under ``/api/panel-config`` and ``/api/panel``."""

from __future__ import annotations

from typing import ClassVar

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.request import Request
from rest_framework.response import Response

from apps.auth.permissions import IsAdmin, IsAdminToChange
from apps.core.api.cached_response import entry_response, found_response
from apps.core.api.openapi.facts import answers
from apps.core.api.viewsets import ViewSet
from apps.mengla.run_requests import order_of
from apps.panels import selectors, services
from apps.panels.errors import VersionConflict
from apps.panels.permissions import TO_CHANGE_CONFIG, TO_FILL, TO_RUN_TASKS
from apps.panels.responses import config_entry, expected_version, find_config
from apps.panels.serializers import (
    FillSerializer,
    PanelConfigChangeSerializer,
    PanelConfigSerializer,
    PanelTaskListSerializer,
    PanelTaskSerializer,
    StartedPanelTaskSerializer,
)
from apps.sync_tasks.errors import AlreadyRunning
from apps.sync_tasks.responses import started_response

_IF_MATCH = OpenApiParameter(
    "If-Match",
    str,
    OpenApiParameter.HEADER,
    description="The ETag that the change expects; 409 when it is not current.",
)


@extend_schema_view(
    retrieve=extend_schema(operation_id="panel_config"),
    update=extend_schema(operation_id="panel_config_update"),
)
@extend_schema(tags=["panels"])
class PanelConfigViewSet(ViewSet):
    """The panel configuration: every reader may read it, admins may change it."""

    permission_classes = (IsAdminToChange,)
    changes: ClassVar = {"update": TO_CHANGE_CONFIG}
    inputs: ClassVar = {"update": PanelConfigChangeSerializer}

    @extend_schema(summary="The panel configuration", responses=PanelConfigSerializer)
    @answers(is_cached=True)
    def retrieve(self, request: Request) -> HttpResponse:
        """Return the whole configuration."""
        return found_response(request._request, find_config())

    @extend_schema(
        summary="Change the panel configuration",
        description=(
            "Makes all changes or none. Modules and fields that are not sent stay as they are. With a "
            "`version` or `If-Match` that is not current: 409, and nothing is changed."
        ),
        parameters=[_IF_MATCH],
        request=PanelConfigChangeSerializer,
        responses=PanelConfigSerializer,
    )
    @answers(VersionConflict, is_cached=True)
    def update(self, request: Request) -> HttpResponse:
        """Change modules, layout or both; returns the new configuration."""
        data = self.valid_input(request).validated_data
        config = services.change_config(
            changed_by=request.user.get_username(),
            modules=data.get("modules", ()),
            layout=data.get("layout"),
            expected_version=expected_version(
                if_match=request.headers.get("If-Match"), version=data.get("version")
            ),
        )
        return entry_response(request._request, config_entry(config))


@extend_schema_view(
    retrieve=extend_schema(operation_id="panel_config_alias"),
    update=extend_schema(operation_id="panel_config_alias_update"),
)
class PanelConfigAliasViewSet(PanelConfigViewSet):
    """The panel configuration, under a second address: ``/api/panel/config``."""


@extend_schema(tags=["panels"])
class PanelTaskViewSet(ViewSet):
    """The tasks that users start by hand."""

    permission_classes = (IsAdmin,)
    changes: ClassVar = {
        "run": TO_RUN_TASKS,
        "fill": TO_FILL,
    }
    inputs: ClassVar = {"fill": FillSerializer}
    path_examples: ClassVar = {"task_id": "daily_collect"}

    @extend_schema(operation_id="panel_tasks", summary="List panel tasks", responses=PanelTaskListSerializer)
    def list(self, request: Request) -> Response:
        """List the tasks, each with its newest run."""
        return Response({"tasks": PanelTaskSerializer(selectors.list_tasks(), many=True).data})

    @extend_schema(
        operation_id="panel_task_run",
        summary="Start a panel task",
        description="409 while its last run has not ended; `detail` names that run.",
        request=None,
        responses={202: StartedPanelTaskSerializer},
    )
    @answers(AlreadyRunning)
    def run(self, request: Request, task_id: str) -> Response:
        """Start a task."""
        started = services.run_task(task_id, order=order_of(request))
        return started_response(started, task_id=task_id)

    @extend_schema(
        operation_id="panel_data_fill",
        summary="Fill gaps",
        description=(
            "Collects only what is missing or empty, or provisional although its period is over. "
            "409 while a fill of the same has not ended."
        ),
        request=FillSerializer,
        responses={202: StartedPanelTaskSerializer},
    )
    @answers(AlreadyRunning)
    def fill(self, request: Request) -> Response:
        """Start a run that collects what is missing, empty, or provisional and due in a range."""
        wanted = self.valid_input(request)
        start, end = wanted.periods()
        started = services.fill_gaps(
            order=order_of(request), start=start, end=end, selection=wanted.selection()
        )
        return started_response(started, task_id="fill")
