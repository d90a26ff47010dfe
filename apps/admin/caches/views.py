"""The addresses of the caches: statistics, warm-up, and clearing L1."""

from __future__ import annotations

from typing import ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.admin.caches.serializers import CacheStatsSerializer, ClearedSerializer, WarmUpSerializer
from apps.admin.caches.services import clear_l1, read_cache_stats
from apps.admin.permissions import TO_CLEAR_CACHES, TO_WARM_UP
from apps.admin.runs.serializers import StartedRunSerializer
from apps.auth.permissions import IsAdmin
from apps.core.api.openapi.facts import answers
from apps.core.api.viewsets import ViewSet
from apps.mengla.run_requests import order_of
from apps.mengla.runs.collect import select, start
from apps.mengla.runs.warm_up import warm_up_plan
from apps.sync_tasks.errors import AlreadyRunning
from apps.sync_tasks.responses import started_response


@extend_schema(tags=["operations"])
class CacheViewSet(ViewSet):
    """The two tiers of the cache."""

    permission_classes = (IsAdmin,)
    inputs: ClassVar = {"warm_up": WarmUpSerializer}
    changes: ClassVar = {
        "warm_up": TO_WARM_UP,
        "clear_l1": TO_CLEAR_CACHES,
    }

    @extend_schema(
        operation_id="admin_cache_stats",
        summary="What the caches hold",
        description="L1 is that of the process that handles the request; L2 and the counts are shared.",
        responses=CacheStatsSerializer,
    )
    def stats(self, request: Request) -> Response:
        """Count what the caches hold."""
        return Response(CacheStatsSerializer(read_cache_stats()).data)

    @extend_schema(
        operation_id="admin_cache_warm_up",
        summary="Warm the shared cache",
        description="A worker puts the figures of the newest records into L2. 409 while another one runs.",
        request=WarmUpSerializer,
        responses={202: StartedRunSerializer},
    )
    @answers(AlreadyRunning)
    def warm_up(self, request: Request) -> Response:
        """Start a warm-up."""
        wanted = self.valid_input(request).validated_data
        plan = warm_up_plan(
            select(cat_ids=wanted.get("catIds") or (), actions=wanted.get("actions") or (), field="catIds"),
            granularities=wanted.get("granularities") or (),
            limit=wanted["limit"],
        )
        return started_response(start(plan, order_of(request)))

    @extend_schema(
        operation_id="admin_cache_clear_l1",
        summary="Empty L1 of every process",
        description="Every process empties its L1 within a second; L2 stays.",
        request=None,
        responses={200: ClearedSerializer},
    )
    def clear_l1(self, request: Request) -> Response:
        """Empty L1 everywhere."""
        clear_l1(cleared_by=request.user.get_username())
        return Response({"cleared": True})
