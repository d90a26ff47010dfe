"""The category endpoints."""

from __future__ import annotations

from typing import ClassVar

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from apps.categories.entries import category_entry, tree_entry
from apps.categories.serializers import CategorySerializer
from apps.core.api.cached_response import found_response
from apps.core.api.openapi.facts import answers
from apps.core.api.viewsets import ViewSet


@extend_schema(tags=["categories"])
class CategoryViewSet(ViewSet):
    """Reads of the category tree."""

    path_examples: ClassVar = {"catId": 4200}

    @extend_schema(
        operation_id="categories_list",
        summary="The category tree",
        description="Level 1 in the order of the imported file, each with its children.",
        responses=CategorySerializer(many=True),
    )
    @answers(is_cached=True)
    def list(self, request: Request) -> HttpResponse:
        """Return the category tree."""
        return found_response(request._request, tree_entry())

    @extend_schema(
        operation_id="categories_retrieve",
        summary="One category with its children",
        parameters=[
            OpenApiParameter("catId", str, OpenApiParameter.PATH, description="The category's catId.")
        ],
        responses=CategorySerializer,
    )
    @answers(is_cached=True)
    def retrieve(self, request: Request, catId: str) -> HttpResponse:
        """Return one category with its children."""
        return found_response(request._request, category_entry(catId))
