"""What needs no login to find one's way: the first address of the API, its OpenAPI document and its page."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from django.conf import settings
from django.http import HttpResponse
from django.urls import reverse
from django.utils.translation import override
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularSwaggerView
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.api.cached_response import entry_response
from apps.core.api.envelope import dump_json
from apps.core.api.renderers import EnvelopeRenderer
from apps.core.api.viewsets import StrictView
from apps.core.caching.tiers import Entry, build_entry
from apps.core.storage.clock import unix_now

_HTTP_OK = 200


class ApiRootSerializer(serializers.Serializer[Any]):
    """What is there, and where."""

    name = serializers.CharField()
    version = serializers.CharField()
    links = serializers.DictField(
        child=serializers.CharField(), help_text="Paths of this host, by what is there."
    )


class ApiRootView(StrictView):
    """Says what the API is, and where its main addresses are."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    links: Mapping[str, str] = {}  # the names of the addresses in the URL configuration, by what is there

    @extend_schema(
        operation_id="api_root",
        summary="What is here",
        tags=["api"],
        responses={200: ApiRootSerializer},
    )
    def get(self, request: Request) -> Response:
        """Return the name and the version of the product, and the paths of its main addresses."""
        return Response(
            {
                "name": settings.SPECTACULAR_SETTINGS["TITLE"],
                "version": settings.VERSION,
                "links": {what: reverse(name) for what, name in self.links.items()},
            }
        )


class SchemaView(StrictView):
    """Serves the OpenAPI document as JSON, without the envelope, as OpenAPI tools expect."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    @extend_schema(exclude=True)
    def get(self, request: Request) -> HttpResponse:
        """Return the OpenAPI document."""
        response = entry_response(request._request, _document())
        response.headers["Content-Language"] = "en"
        return response


class DocsView(StrictView, SpectacularSwaggerView):
    """Serves the page that shows the OpenAPI document; errors have the envelope."""

    template_name = "collector/docs.html"

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        """Render the page as HTML, and any other response in the envelope."""
        response = super().finalize_response(request, response, *args, **kwargs)
        is_page = request.method in ("GET", "HEAD") and response.status_code == _HTTP_OK
        # The library lets other windows hold on to the page, for OAuth logins in them. There are none here.
        response.headers.pop("Cross-Origin-Opener-Policy", None)
        if not is_page:
            response.accepted_renderer = EnvelopeRenderer()
            response.accepted_media_type = EnvelopeRenderer.media_type
        return response


@cache
def _document() -> Entry:
    """Generate the document, once per process: this is slow, and the document does not change.

    It is in English, whatever the language of the first caller: the labels of choices are translated.
    """
    with override(None):
        document = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    now = unix_now()
    return build_entry(dump_json(document), stored_at=now, fresh_until=now, serve_until=now)
