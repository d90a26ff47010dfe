"""Runs: those of today, cancelling and deleting one, collecting ranges, what is stored."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from django.utils.translation import gettext as _
from rest_framework.request import Request
from rest_framework.response import Response

from apps.admin.permissions import TO_BACKFILL, TO_CANCEL_ALL, TO_CRAWL
from apps.admin.runs.serializers import CancelAllSerializer
from apps.auth.permissions import IsAdmin, Needs
from apps.compat.base import CompatViewSet
from apps.compat.serializers import BackfillSerializer, FullCrawlSerializer, RangeSerializer
from apps.compat.shapes import coverage_shape, run_shape
from apps.core import market_clock
from apps.core.errors import Conflict, InvalidInput
from apps.mengla.dispatch.cancel_all import cancel_all
from apps.mengla.monitoring.coverage import coverage
from apps.mengla.run_requests import order_of
from apps.mengla.runs.collect import backfill_plan, start
from apps.sync_tasks import selectors, services
from apps.sync_tasks.permissions import TO_CONTROL, TO_DELETE
from apps.sync_tasks.serializers import DeletionSerializer


class SyncTaskViewSet(CompatViewSet):
    """The runs of today; cancelling and deleting one."""

    permission_classes = (IsAdmin,)
    changes: ClassVar = {"cancel": TO_CONTROL, "destroy": TO_DELETE}
    inputs: ClassVar = {"destroy": DeletionSerializer}

    def today(self, request: Request) -> Response:
        """List the runs that started today (Asia/Shanghai) or still run."""
        runs = selectors.list_today(market_clock.today())
        return Response({"tasks": [run_shape(run, selectors.progress_of(run)) for run in runs]})

    def cancel(self, request: Request, run_id: str) -> Response:
        """Cancel a run; 400 when it has ended."""
        with _conflicts_as_400():
            services.cancel_run(run_id=run_id, cancelled_by=request.user.get_username())
        return Response({"success": True, "message": _("The sync task has been cancelled.")})

    def destroy(self, request: Request, run_id: str) -> Response:
        """Delete a run, with the records that only it wrote if ``delete_data`` is true; 400 while it runs."""
        with_data = self.valid_input(request).validated_data["delete_data"]
        with _conflicts_as_400():
            deleted = services.delete_run(
                run_id=run_id, is_data_deleted=with_data, deleted_by=request.user.get_username()
            )
        message = _("The sync task has been deleted.")
        return Response({"success": True, "message": message, "deleted_data_count": deleted.records})


class CollectingViewSet(CompatViewSet):
    """What is stored, and the runs that collect what is missing."""

    permission_classes = (IsAdmin,)
    changes: ClassVar = {
        "status": Needs(),
        "backfill": TO_BACKFILL,
        "full_crawl": TO_CRAWL,
        "cancel_all": TO_CANCEL_ALL,
    }
    inputs: ClassVar = {
        "status": RangeSerializer,
        "backfill": BackfillSerializer,
        "full_crawl": FullCrawlSerializer,
        "cancel_all": CancelAllSerializer,
    }

    def status(self, request: Request) -> Response:
        """Return whether figures are stored, by action and period key."""
        wanted = self.valid_input(request)
        first, last = wanted.periods()
        given = wanted.validated_data
        return Response(
            {
                "catId": given.get("catId"),
                "granularity": given["granularity"].value,
                "startDate": given["startDate"],
                "endDate": given["endDate"],
                "status": coverage_shape(coverage(start=first, end=last, selection=wanted.selection())),
            }
        )

    def backfill(self, request: Request) -> Response:
        """Collect the days of a range, for all categories taken together."""
        wanted = self.valid_input(request)
        started = start(backfill_plan(*wanted.periods(), selection=wanted.selection()), order_of(request))
        return Response(
            {
                "message": _("The backfill has been started."),
                "start_date": wanted.validated_data["start_date"],
                "end_date": wanted.validated_data["end_date"],
                "sync_task_id": started.run_id,
            }
        )

    def full_crawl(self, request: Request) -> Response:
        """Collect the periods that a range of days touches, for all categories taken together."""
        wanted = self.valid_input(request)
        started = start(wanted.plan(), order_of(request))
        return Response(
            {
                "message": _("The full crawl has been started."),
                "startDate": wanted.validated_data["startDate"],
                "endDate": wanted.validated_data["endDate"],
                "sync_task_id": started.run_id,
            }
        )

    def cancel_all(self, request: Request) -> Response:
        """Cancel all runs and all queued collections."""
        self.valid_input(request)
        cancelled = cancel_all(cancelled_by=request.user.get_username())
        message = _("Everything has been cancelled.")
        if not cancelled.is_complete:
            message = _("More is left: repeat the request.")
        return Response(
            {
                "message": message,
                "cancelled_asyncio_tasks": 0,  # there are none here; each run is counted once, below
                "cancelled_sync_logs": cancelled.runs,
                "cancelled_crawl_jobs": 0,
                "cancelled_crawl_subtasks": cancelled.collections,
            }
        )


@contextmanager
def _conflicts_as_400() -> Iterator[None]:
    """Turn a conflict with the state of a run into invalid input, as the former program answered it."""
    try:
        yield
    except Conflict as error:
        raise InvalidInput(error.message, detail=error.detail) from error
