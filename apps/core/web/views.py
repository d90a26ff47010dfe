"""Views that belong to no domain: unknown API paths, Django's error handlers, process health.

The handlers answer the API with the envelope, and people with a page in the look of the admin.
"""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.translation import gettext as _
from django.views import defaults
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt

from apps.core.admin_base.problem_page import problem_page
from apps.core.api.envelope import error_response, is_api_path
from apps.core.errors import ErrorCode
from apps.core.liveness.health import check_dependencies


@csrf_exempt
def unknown_api_path(request: HttpRequest, **_kwargs: Any) -> HttpResponse:
    """Answer every unknown path under ``/api/``, in DEBUG too, where Django would show its own page."""
    return error_response(ErrorCode.NOT_FOUND, _("There is nothing at this address."))


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler400."""
    if is_api_path(request.path):
        return error_response(ErrorCode.VALIDATION_ERROR, _("The request cannot be read."))
    return problem_page(
        request, 400, _("Not readable"), _("The address or the form holds something that cannot be read.")
    )


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler403."""
    if is_api_path(request.path):
        return error_response(ErrorCode.PERMISSION_DENIED, _("Permission denied."))
    return problem_page(
        request,
        403,
        _("No permission"),
        _("Who administers the users can give you the permission for this page."),
    )


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer a form that was sent from a page of another session, or of none."""
    return problem_page(
        request,
        403,
        _("Out of date"),
        _("Open the page of this form again: you have logged in or out since."),
    )


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler404."""
    if is_api_path(request.path):
        return error_response(ErrorCode.NOT_FOUND, _("Not found."))
    return problem_page(request, 404, _("Not found"), _("There is nothing at this address, or no longer."))


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
