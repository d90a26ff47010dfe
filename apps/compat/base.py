"""The base of the addresses of the former contract: bare bodies, its form of errors, its callers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from drf_spectacular.utils import extend_schema
from rest_framework.response import Response

from apps.compat.authentication import CompatAuthentication
from apps.core.api.envelope import JSON_CONTENT_TYPE, dump_json
from apps.core.api.exceptions import envelope_exception_handler
from apps.core.api.renderers import JsonRenderer
from apps.core.api.viewsets import ViewSet
from apps.core.errors import ErrorCode
from apps.core.printable import labelled, sentences_text

# The former program gave every error this code; ``code`` has ours.
HTTP_ERROR = "HTTP_ERROR"
Body = dict[str, Any]


def error_body(code: str, message: str, *, detail: str | None = None) -> Body:
    """Return the body of an error; ``detail`` is a text there, the message if there is nothing to add."""
    return {
        "success": False,
        "error": HTTP_ERROR,
        "message": message,
        "detail": detail or message,
        "code": code,
    }


def former_exception_handler(error: Exception, context: Mapping[str, Any]) -> Response:
    """Turn any exception of a view into a response in the former form; the message names the wrong fields."""
    response = envelope_exception_handler(error, context)
    ours: Mapping[str, Any] = response.data
    texts = _field_texts(ours.get("fields") or {})
    message = sentences_text([ours["message"], *texts])
    response.data = error_body(ours["error"], message, detail=ours["detail"])
    return response


def _field_texts(fields: Mapping[str, list[str]]) -> list[str]:
    return [
        text if name == "non_field_errors" else labelled(name, text)
        for name, texts in fields.items()
        for text in texts
    ]


@extend_schema(exclude=True)
class CompatViewSet(ViewSet):
    """A view of the former contract; it is no part of our OpenAPI document."""

    authentication_classes: tuple[type[CompatAuthentication], ...] = (CompatAuthentication,)
    renderer_classes = (JsonRenderer,)  # without the envelope

    def get_exception_handler(self) -> Any:
        """Return the function that words errors."""
        return former_exception_handler


@csrf_exempt
def unknown_address(request: HttpRequest, **_kwargs: Any) -> HttpResponse:
    """Return 404 for every other path below the prefix."""
    body = error_body(ErrorCode.NOT_FOUND.value, _("There is nothing at this address."))
    return HttpResponse(dump_json(body), status=404, content_type=JSON_CONTENT_TYPE)
