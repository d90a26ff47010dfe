"""The addresses of the metrics: two below ``/api/admin``, and ``/metrics``."""

from __future__ import annotations

from typing import ClassVar

from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe
from drf_spectacular.utils import extend_schema
from prometheus_client import CONTENT_TYPE_LATEST
from rest_framework.request import Request
from rest_framework.response import Response

from apps.admin.metrics import access, exposition, summary
from apps.admin.metrics.serializers import DaysQuerySerializer, LatencySerializer, MetricsSerializer
from apps.auth.permissions import IsAdmin
from apps.core.api.viewsets import ViewSet


@extend_schema(tags=["metrics"])
class MetricsViewSet(ViewSet):
    """Counts and durations."""

    permission_classes = (IsAdmin,)
    inputs: ClassVar = {"list": DaysQuerySerializer, "latency": DaysQuerySerializer}

    @extend_schema(
        operation_id="admin_metrics",
        summary="Reads and collections, counted by day",
        description="Exact, all processes together. 503 while Redis does not respond.",
        parameters=[DaysQuerySerializer],
        responses=MetricsSerializer,
    )
    def list(self, request: Request) -> Response:
        """Return the counts."""
        return Response(MetricsSerializer(summary.read_metrics(days=self._days_of(request))).data)

    @extend_schema(
        operation_id="admin_metrics_latency",
        summary="How long reads and collections took",
        description="Percentiles are at most 2.3 % from the true ones. 503 while Redis does not respond.",
        parameters=[DaysQuerySerializer],
        responses=LatencySerializer,
    )
    def latency(self, request: Request) -> Response:
        """Return the durations."""
        return Response(LatencySerializer(summary.read_latency(days=self._days_of(request))).data)

    def _days_of(self, request: Request) -> int:
        return int(self.valid_input(request).validated_data["days"])


@csrf_exempt  # so that every other method is a 405
@never_cache
@require_safe
def prometheus(request: HttpRequest) -> HttpResponse:
    """Serve the metrics to Prometheus, without those of a dependency that does not respond."""
    refusal = access.refusal_of(request)
    if refusal is not None:
        return refusal
    return HttpResponse(exposition.expose(), content_type=CONTENT_TYPE_LATEST)
