"""Views that belong to no domain: unknown API paths, Django's error handlers, process health."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.translation import gettext as _
from django.views import defaults
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt

from apps.core.api.envelope import error_response
from apps.core.api.middleware import is_api_path
from apps.core.errors import ErrorCode
from apps.core.health import check_dependencies


@csrf_exempt
def unknown_api_path(request: HttpRequest, **_kwargs: Any) -> HttpResponse:
    """Answer every unknown path under ``/api/``, in DEBUG too, where Django would show its own page."""
    return error_response(ErrorCode.NOT_FOUND, _("There is nothing at this address."))


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler400."""
    if is_api_path(request.path):
        return error_response(ErrorCode.VALIDATION_ERROR, _("The request cannot be read."))
    return defaults.bad_request(request, exception)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler403."""
    if is_api_path(request.path):
        return error_response(ErrorCode.PERMISSION_DENIED, _("Permission denied."))
    return defaults.permission_denied(request, exception)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler404."""
    if is_api_path(request.path):
        return error_response(ErrorCode.NOT_FOUND, _("Not found."))
    return defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's handler500; the middleware turns it into the envelope under ``/api/``."""
    return defaults.server_error(request)


@never_cache
def health(request: HttpRequest) -> JsonResponse:
    """Say that this process lives."""
    return JsonResponse({"status": "ok"})


@never_cache
def ready(request: HttpRequest) -> JsonResponse:
    """Say whether MongoDB and Redis answer and a worker lives; 503 with the reasons otherwise."""
    states = check_dependencies()
    is_ready = all(state["ok"] for state in states.values())
    body = {"status": "ready" if is_ready else "unavailable", "checks": states}
    return JsonResponse(body, status=200 if is_ready else 503)
