"""The addresses that serve figures, collections and records."""

from __future__ import annotations

from math import ceil
from typing import Any
from urllib.parse import urlencode

import orjson
import structlog
from django.http import HttpResponse
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.api.cached_response import entry_response
from apps.core.api.envelope import success_body
from apps.core.api.viewsets import ViewSet
from apps.core.caching.replay import allow_replay
from apps.core.errors import NotFound
from apps.mengla.choices import Action, CollectionStatus
from apps.mengla.dispatch.waiting import waiting_of
from apps.mengla.errors import UnknownCategory
from apps.mengla.queries.parameters import build_query, build_record_filter
from apps.mengla.reading.read import Hit, Miss, read
from apps.mengla.serializers import (
    CollectingSerializer,
    CollectionSerializer,
    FiguresBodySerializer,
    FiguresParametersSerializer,
    FiguresQuerySerializer,
    RecordPageSerializer,
    RecordSerializer,
    RecordsQuerySerializer,
)
from apps.mengla.store import outcomes, selectors
from apps.mengla.store.figures import FRESHNESS_HEADER, cache_field
from apps.sync_tasks.responses import waiting_json

SOURCE_HEADER = "X-MengLa-Source"
_RETRY_AFTER_SECONDS = 2
_MAX_RETRY_AFTER_SECONDS = 60
_FIGURES = {
    200: OpenApiResponse(OpenApiTypes.OBJECT, description="The figures, from the store or the caches."),
    202: OpenApiResponse(
        CollectingSerializer, description="The figures are not stored yet; they are being collected."
    ),
}


@extend_schema(tags=["mengla"])
class FiguresViewSet(ViewSet):
    """Serves figures; waits for the collection service only when the caller asks it to (``wait``)."""

    @extend_schema(operation_id="mengla_read", parameters=[FiguresParametersSerializer], responses=_FIGURES)
    def read(self, request: Request) -> HttpResponse:
        """Return the figures that the query string asks for."""
        return _respond(request, FiguresParametersSerializer(data=request.query_params))

    @extend_schema(operation_id="mengla_query", request=FiguresQuerySerializer, responses=_FIGURES)
    def query(self, request: Request) -> HttpResponse:
        """Return the figures that the body asks for."""
        return _respond(request, FiguresQuerySerializer(data=request.data))

    @extend_schema(operation_id="mengla_high", request=FiguresBodySerializer, responses=_FIGURES)
    def high(self, request: Request) -> HttpResponse:
        """Return the blue-ocean ranking."""
        return _respond(request, FiguresBodySerializer(data=request.data), Action.HIGH)

    @extend_schema(operation_id="mengla_hot", request=FiguresBodySerializer, responses=_FIGURES)
    def hot(self, request: Request) -> HttpResponse:
        """Return the best sellers."""
        return _respond(request, FiguresBodySerializer(data=request.data), Action.HOT)

    @extend_schema(operation_id="mengla_chance", request=FiguresBodySerializer, responses=_FIGURES)
    def chance(self, request: Request) -> HttpResponse:
        """Return the rising ranking."""
        return _respond(request, FiguresBodySerializer(data=request.data), Action.CHANCE)

    @extend_schema(operation_id="mengla_industry_view", request=FiguresBodySerializer, responses=_FIGURES)
    def industry_view(self, request: Request) -> HttpResponse:
        """Return the distribution."""
        return _respond(request, FiguresBodySerializer(data=request.data), Action.INDUSTRY_VIEW)

    @extend_schema(operation_id="mengla_industry_trend", request=FiguresBodySerializer, responses=_FIGURES)
    def industry_trend(self, request: Request) -> HttpResponse:
        """Return the trend."""
        return _respond(request, FiguresBodySerializer(data=request.data), Action.INDUSTRY_TREND)


@extend_schema(tags=["mengla"])
class CollectionViewSet(ViewSet):
    """The state of collections."""

    @extend_schema(operation_id="mengla_collection", responses=CollectionSerializer)
    def retrieve(self, request: Request, collection_id: str) -> Response:
        """Return the state of one collection."""
        collection = selectors.find_collection(collection_id)
        if collection is None:
            raise NotFound(_("There is no such collection."))
        position = selectors.queue_position(collection)
        facts = {
            "position": position,
            "waiting": waiting_json(waiting_of(collection, position=position)),
            "result": _result_address(collection),
        }
        return Response(CollectionSerializer(collection | facts).data)


@extend_schema(tags=["mengla"])
class RecordViewSet(ViewSet):
    """The stored records."""

    @extend_schema(
        operation_id="mengla_records", parameters=[RecordsQuerySerializer], responses=RecordPageSerializer
    )
    def list(self, request: Request) -> Response:
        """List the stored records, newest first."""
        serializer = RecordsQuerySerializer(data=request.query_params)
        serializer.is_valid(raise_exception=True)
        page = selectors.list_records(**build_record_filter(serializer.validated_data))
        records = RecordSerializer(page.rows, many=True).data
        return Response({"records": records, "next_cursor": page.next_cursor})


def _respond(request: Request, serializer: Any, action: Action | None = None) -> HttpResponse:
    serializer.is_valid(raise_exception=True)
    query = build_query(**serializer.query_arguments(action=action))
    try:
        result = read(
            query,
            requested_by=request.user.get_username(),
            wait_seconds=serializer.validated_data["wait"],
            is_refresh=serializer.validated_data["refresh"],
        )
    except UnknownCategory as error:
        raise UnknownCategory(serializer.cat_field) from error
    if isinstance(result, Miss):
        return _miss(result)
    if result.source == "l1" and result.is_fresh:
        is_timed = serializer.validated_data["wait"] == 0
        count = outcomes.counter_of_hits(query.action, result.source, result.result, is_timed=is_timed)
        allow_replay(request.META, query.cache_group, cache_field(query), result.entry, count=count)
    return _hit(request, result)


def _hit(request: Request, hit: Hit) -> HttpResponse:
    headers: dict[str, str] = {SOURCE_HEADER: hit.source}
    if FRESHNESS_HEADER not in hit.entry.headers:
        headers[FRESHNESS_HEADER] = "fresh" if hit.is_fresh else "stale"
    return entry_response(request._request, hit.entry, headers=headers)


def _miss(miss: Miss) -> Response:
    collection = miss.collection
    collection_id = str(collection["_id"])
    structlog.contextvars.bind_contextvars(collection_id=collection_id)  # until the response is sent
    position = selectors.queue_position(collection)
    waiting = waiting_of(collection, position=position)
    body = {
        "collecting": True,
        "collection": {
            "id": collection_id,
            "status": collection["status"],
            "priority": collection["priority"],
            "position": position,
            "waiting": waiting_json(waiting),
            "created_at": collection["created_at"],
        },
    }
    retry_after = min(_RETRY_AFTER_SECONDS * (1 + position), _MAX_RETRY_AFTER_SECONDS)
    if waiting is not None:
        retry_after = max(retry_after, ceil(waiting.retry_after_seconds))
    return Response(
        success_body(body, waiting.message if waiting else _("The figures are being collected.")),
        status=202,
        headers={"Location": f"/api/mengla/collections/{collection_id}", "Retry-After": str(retry_after)},
    )


def _result_address(collection: dict[str, Any]) -> str | None:
    """Return the address of the figures that a collection has stored, None when it has not."""
    if collection["status"] not in (CollectionStatus.SUCCEEDED, CollectionStatus.EMPTY):
        return None
    parameters = {
        "action": collection["action"],
        "primaryCatId": collection["cat_id"],
        "dateType": collection["granularity"],
        "timest": collection["end_key"],
    }
    if collection["action"] == Action.INDUSTRY_TREND:
        parameters |= {"starRange": collection["start_key"], "endRange": collection["end_key"]}
    if collection["product_id"]:
        parameters["product_id"] = collection["product_id"]
    if collection["extra"]:
        parameters["extra"] = orjson.dumps(collection["extra"]).decode()
    return f"/api/mengla/?{urlencode(parameters)}"
