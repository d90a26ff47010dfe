"""The WSGI handler of the product: Django's, for requests with any headers."""

from __future__ import annotations

from typing import Any

from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.utils.http import parse_header_parameters


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
