"""The health addresses; they must respond even when a server hangs."""

from __future__ import annotations

from typing import ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.admin.health.serializers import (
    CollectHealthSerializer,
    HealthQuerySerializer,
    SystemStatusSerializer,
)
from apps.admin.health.services import collect_health, process_facts, system_status
from apps.auth.permissions import IsAdmin
from apps.core import market_clock
from apps.core.api.viewsets import ViewSet


@extend_schema(tags=["operations"])
class HealthViewSet(ViewSet):
    """The state of the collecting and of the whole installation."""

    permission_classes = (IsAdmin,)
    inputs: ClassVar = {"collecting": HealthQuerySerializer}

    @extend_schema(
        operation_id="admin_collect_health",
        summary="The state of the collecting",
        description="Responds within four seconds; a part that takes longer has no data and says why.",
        parameters=[HealthQuerySerializer],
        responses=CollectHealthSerializer,
    )
    def collecting(self, request: Request) -> Response:
        """Report on the collecting."""
        query = self.valid_input(request)
        day = query.validated_data.get("date", market_clock.today())
        report = collect_health(day)
        found = {"date": day, "is_complete": report.is_complete, **report.parts}
        return Response(CollectHealthSerializer(found).data)

    @extend_schema(
        operation_id="admin_system_status",
        summary="The state of the installation",
        description="Responds within four seconds; a part that takes longer has no data and says why.",
        responses=SystemStatusSerializer,
    )
    def system(self, request: Request) -> Response:
        """Report on the installation."""
        report = system_status()
        found = {"is_complete": report.is_complete, "process": process_facts(), **report.parts}
        return Response(SystemStatusSerializer(found).data)
