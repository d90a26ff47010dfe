"""The WSGI handler of the product: Django's, for requests with any headers."""

from __future__ import annotations

import gc
from collections.abc import Iterable
from typing import Any, cast

from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template.response import SimpleTemplateResponse
from django.utils.http import parse_header_parameters

from apps.core.api.bodies import has_unread_body


class Request(WSGIRequest):
    """A request that ignores a declared charset which cannot decode text.

    Python has codecs such as ``hex``. Django would accept one and fail before any middleware runs.
    """

    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        kind, parameters = parse_header_parameters(meta.get("CONTENT_TYPE", ""))
        try:
            b"a=1".decode(parameters.get("charset", "utf-8"))
        except (LookupError, ValueError):
            meta = {"CONTENT_TYPE": kind}
        super()._set_content_type_params(meta)  # type: ignore[misc]


class Handler(WSGIHandler):
    """The application that a WSGI server calls; ``django.setup`` must have run before the first request."""

    request_class = Request

    def get_response(self, request: HttpRequest) -> HttpResponseBase:
        """Return the response; it says so if the server may close the connection after it.

        A client that does not know this could send its next request into a closed connection.
        """
        response = super().get_response(request)
        if has_unread_body(request):
            response.headers["Connection"] = "close"
        return response

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:  # type: ignore[override]
        """Answer a request. A finished body is returned as a list, which the server sends in one step."""
        response = super().__call__(environ, start_response)
        if not isinstance(response, HttpResponse):
            return cast("Iterable[bytes]", response)  # a stream
        response.close()
        body, is_rendered = [response.content], isinstance(response, SimpleTemplateResponse)
        if is_rendered:
            # What a template or a serializer has used refers to itself in circles. There are few objects in
            # them, often large ones, so Python would look for them late. Here it looks at the newest only.
            del response
            gc.collect(1)
        return body
