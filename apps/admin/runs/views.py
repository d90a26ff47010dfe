"""The addresses that start and cancel runs, and that report what is stored."""

from __future__ import annotations

from typing import ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.admin.permissions import TO_BACKFILL, TO_CANCEL_ALL, TO_CRAWL
from apps.admin.runs.serializers import (
    BackfillSerializer,
    CancelAllSerializer,
    CancelledAllSerializer,
    CoverageSerializer,
    FullCrawlSerializer,
    StartedRunSerializer,
)
from apps.auth.permissions import IsAdmin, Needs
from apps.core.api.openapi.facts import answers
from apps.core.api.viewsets import ViewSet
from apps.mengla.dispatch.cancel_all import cancel_all
from apps.mengla.monitoring.coverage import coverage
from apps.mengla.run_requests import RangeSerializer, order_of
from apps.mengla.runs.collect import backfill_plan, start
from apps.sync_tasks.errors import AlreadyRunning
from apps.sync_tasks.responses import started_response


@extend_schema(tags=["operations"])
class CollectingViewSet(ViewSet):
    """What is stored, and the runs that collect what is missing."""

    permission_classes = (IsAdmin,)
    inputs: ClassVar = {
        "status": RangeSerializer,
        "full_crawl": FullCrawlSerializer,
        "backfill": BackfillSerializer,
        "cancel_all": CancelAllSerializer,
    }
    changes: ClassVar = {
        "status": Needs(),
        "full_crawl": TO_CRAWL,
        "backfill": TO_BACKFILL,
        "cancel_all": TO_CANCEL_ALL,
    }

    @extend_schema(
        operation_id="admin_mengla_status",
        summary="What is stored of a range",
        request=RangeSerializer,
        responses={200: CoverageSerializer},
    )
    def status(self, request: Request) -> Response:
        """Return which figures are present, empty or missing."""
        serializer = self.valid_input(request)
        first, last = serializer.periods()
        names = ("startDate", "endDate")
        found = coverage(start=first, end=last, selection=serializer.selection(), names=names)
        return Response(CoverageSerializer(found).data)

    @extend_schema(
        operation_id="admin_full_crawl",
        summary="Collect everything",
        description=(
            "The last closed period of every granularity, for every category of the tree; with `startDate` "
            "and `endDate`, every period that this range of days touches. 409 while another one runs."
        ),
        request=FullCrawlSerializer,
        responses={202: StartedRunSerializer},
    )
    @answers(AlreadyRunning)
    def full_crawl(self, request: Request) -> Response:
        """Start a full crawl."""
        return started_response(start(self.valid_input(request).plan(), order_of(request)))

    @extend_schema(
        operation_id="admin_backfill",
        summary="Collect a range",
        description="Fresh figures are skipped unless `force` is true. 409 while another backfill runs.",
        request=BackfillSerializer,
        responses={202: StartedRunSerializer},
    )
    @answers(AlreadyRunning)
    def backfill(self, request: Request) -> Response:
        """Start a backfill."""
        serializer = self.valid_input(request)
        plan = backfill_plan(
            *serializer.periods(),
            selection=serializer.selection(),
            is_forced=serializer.validated_data["force"],
        )
        return started_response(start(plan, order_of(request)))

    @extend_schema(
        operation_id="admin_cancel_all",
        summary="Stop everything",
        description=(
            "Cancels every running sync task and every queued collection, also those that readers wait for. "
            "The collections that the service is working on cannot be cancelled. "
            "Repeat the request until `is_complete`."
        ),
        request=CancelAllSerializer,
        responses={200: CancelledAllSerializer},
    )
    def cancel_all(self, request: Request) -> Response:
        """Cancel all runs and all queued collections."""
        self.valid_input(request)
        return Response(CancelledAllSerializer(cancel_all(cancelled_by=request.user.get_username())).data)
