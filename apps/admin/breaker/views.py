"""The addresses of the circuit breaker of the collection service."""

from __future__ import annotations

from typing import ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.admin.breaker.serializers import BreakerListSerializer, ResetSerializer
from apps.admin.permissions import TO_RESET_BREAKER
from apps.auth.permissions import IsAdmin
from apps.core.api.viewsets import ViewSet
from apps.mengla.dispatch.breaker_control import read_breaker, reset_breaker


@extend_schema(tags=["operations"])
class BreakerViewSet(ViewSet):
    """The state of the breaker, and its reset."""

    permission_classes = (IsAdmin,)
    changes: ClassVar = {"reset": TO_RESET_BREAKER}

    @extend_schema(
        operation_id="admin_circuit_breakers",
        summary="The state of the circuit breakers",
        responses=BreakerListSerializer,
    )
    def show(self, request: Request) -> Response:
        """Show the breakers."""
        return Response(BreakerListSerializer({"breakers": [read_breaker()]}).data)

    @extend_schema(
        operation_id="admin_circuit_breakers_reset",
        summary="Close the circuit breakers",
        description="Resets their counts; queued collections are sent at once.",
        request=None,
        responses={200: ResetSerializer},
    )
    def reset(self, request: Request) -> Response:
        """Close the breakers."""
        is_changed = reset_breaker(reset_by=request.user.get_username())
        return Response(ResetSerializer({"breakers": [read_breaker()], "changed": is_changed}).data)
