"""The addresses that serve figures, collections and records."""

from __future__ import annotations

from typing import ClassVar

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.api.replies import reply_to
from apps.core.api.viewsets import ViewSet
from apps.mengla.choices import Action
from apps.mengla.export_api.parameters import ExportParametersSerializer
from apps.mengla.export_api.response import FILES, answers_file, export_response
from apps.mengla.figures_api.requests import (
    FiguresBodySerializer,
    FiguresParametersSerializer,
    FiguresQuerySerializer,
    TrendBodySerializer,
)
from apps.mengla.figures_api.responses import DISTRIBUTION, FIGURES, RANKING, TREND, answers_figures
from apps.mengla.queries.parameters import build_record_filter
from apps.mengla.replies import CollectionAddress, FiguresAddress
from apps.mengla.serializers import (
    CollectionSerializer,
    RecordPageSerializer,
    RecordSerializer,
    RecordsQuerySerializer,
)
from apps.mengla.store import selectors


@extend_schema(tags=["figures"])
class FiguresViewSet(ViewSet):
    """Serves figures; waits for the collection service only when the caller asks it to (``wait``)."""

    inputs: ClassVar = {
        "read": FiguresParametersSerializer,
        "query": FiguresQuerySerializer,
        **dict.fromkeys(("high", "hot", "chance", "industry_view"), FiguresBodySerializer),
        "industry_trend": TrendBodySerializer,
    }

    @extend_schema(
        operation_id="mengla_read",
        summary="Read figures",
        parameters=[FiguresParametersSerializer],
        responses=FIGURES,
    )
    @answers_figures
    def read(self, request: Request) -> HttpResponse:
        """Return the figures of a query string."""
        return reply_to(request, FiguresAddress(FiguresParametersSerializer))

    @extend_schema(
        operation_id="mengla_query",
        summary="Query figures of any data set",
        request=FiguresQuerySerializer,
        responses=FIGURES,
    )
    @answers_figures
    def query(self, request: Request) -> HttpResponse:
        """Return the figures of a body."""
        return reply_to(request, FiguresAddress(FiguresQuerySerializer))

    @extend_schema(
        operation_id="mengla_high",
        summary="Blue-ocean ranking",
        request=FiguresBodySerializer,
        responses=RANKING,
    )
    @answers_figures
    def high(self, request: Request) -> HttpResponse:
        """Return the blue-ocean ranking."""
        return reply_to(request, FiguresAddress(FiguresBodySerializer, Action.HIGH))

    @extend_schema(
        operation_id="mengla_hot", summary="Best sellers", request=FiguresBodySerializer, responses=RANKING
    )
    @answers_figures
    def hot(self, request: Request) -> HttpResponse:
        """Return the best sellers."""
        return reply_to(request, FiguresAddress(FiguresBodySerializer, Action.HOT))

    @extend_schema(
        operation_id="mengla_chance",
        summary="Rising ranking",
        request=FiguresBodySerializer,
        responses=RANKING,
    )
    @answers_figures
    def chance(self, request: Request) -> HttpResponse:
        """Return the rising ranking."""
        return reply_to(request, FiguresAddress(FiguresBodySerializer, Action.CHANCE))

    @extend_schema(
        operation_id="mengla_industry_view",
        summary="Distribution",
        request=FiguresBodySerializer,
        responses=DISTRIBUTION,
    )
    @answers_figures
    def industry_view(self, request: Request) -> HttpResponse:
        """Return the distribution."""
        return reply_to(request, FiguresAddress(FiguresBodySerializer, Action.INDUSTRY_VIEW))

    @extend_schema(
        operation_id="mengla_industry_trend", summary="Trend", request=TrendBodySerializer, responses=TREND
    )
    @answers_figures
    def industry_trend(self, request: Request) -> HttpResponse:
        """Return the trend."""
        return reply_to(request, FiguresAddress(TrendBodySerializer, Action.INDUSTRY_TREND))


@extend_schema(tags=["figures"])
class ExportViewSet(ViewSet):
    """The stored figures of many categories and periods as one file."""

    inputs: ClassVar = {"export": ExportParametersSerializer}

    @extend_schema(
        operation_id="mengla_export",
        summary="Export figures",
        description="The stored figures of a range of periods as one file; it collects nothing.",
        parameters=[ExportParametersSerializer],
        responses=FILES,
    )
    @answers_file
    def export(self, request: Request) -> HttpResponseBase:
        """Return the stored figures of a range of periods as one file; it collects nothing."""
        parameters = self.valid_input(request)
        return export_response(request._request, parameters.query(), parameters.form())


@extend_schema(tags=["figures"])
class CollectionViewSet(ViewSet):
    """The state of collections."""

    path_examples: ClassVar = {"collection_id": "683d3a5f9b1e8a5d2c4f7e10"}

    @extend_schema(
        operation_id="mengla_collection", summary="The state of a collection", responses=CollectionSerializer
    )
    def retrieve(self, request: Request, collection_id: str) -> HttpResponse:
        """Return the state of one collection."""
        return reply_to(request, CollectionAddress(collection_id))


@extend_schema(tags=["figures"])
class RecordViewSet(ViewSet):
    """The stored records."""

    inputs: ClassVar = {"list": RecordsQuerySerializer}

    @extend_schema(
        operation_id="mengla_records",
        summary="List stored records",
        parameters=[RecordsQuerySerializer],
        responses=RecordPageSerializer,
    )
    def list(self, request: Request) -> Response:
        """List the stored records, newest first."""
        serializer = self.valid_input(request)
        page = selectors.list_records(**build_record_filter(serializer.validated_data))
        records = RecordSerializer(page.rows, many=True).data
        return Response({"records": records, "next_cursor": page.next_cursor})
