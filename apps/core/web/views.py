"""Views outside any domain: the root, unknown API paths, Django's error handlers, the probes.

The error handlers return the envelope under ``/api/``, and a page in the style of the admin elsewhere.
"""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext as _
from django.views import defaults
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from apps.core.admin_base.problem_page import problem_page
from apps.core.api.envelope import error_response, is_api_path
from apps.core.errors import ErrorCode
from apps.core.liveness.clocks import known_clock_problems
from apps.core.liveness.health import check_dependencies
from apps.core.web.draining import is_draining


@csrf_exempt  # so that every other method is a 405
@never_cache
@require_safe
def root(request: HttpRequest) -> HttpResponse:
    """Redirect people to the admin, and programs that accept JSON and no HTML to the API."""
    accepted = request.headers.get("Accept", "")
    is_program = "application/json" in accepted and "text/html" not in accepted
    response = HttpResponseRedirect(f"{reverse('api-root')}/" if is_program else reverse("admin:index"))
    patch_vary_headers(response, ["Accept"])
    return response


@csrf_exempt
def unknown_api_path(request: HttpRequest, **_kwargs: Any) -> HttpResponse:
    """Return 404 for an unknown path under ``/api/``, also in DEBUG, where Django shows its own page."""
    return error_response(ErrorCode.NOT_FOUND, _("There is nothing at this address."))


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler400."""
    if is_api_path(request.path):
        return error_response(ErrorCode.VALIDATION_ERROR, _("The request cannot be read."))
    return problem_page(
        request, 400, _("Bad request"), _("The address or the form contains data that cannot be read.")
    )


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler403."""
    if is_api_path(request.path):
        return error_response(ErrorCode.PERMISSION_DENIED, _("Permission denied."))
    return problem_page(
        request,
        403,
        _("No permission"),
        _("Ask an administrator for access."),
    )


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Refuse a form that was sent from a page of another session, or without a session."""
    return problem_page(
        request,
        403,
        _("Page expired"),
        _("You have logged in or out since you opened this form. Open the form again."),
    )


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler404."""
    if is_api_path(request.path):
        return error_response(ErrorCode.NOT_FOUND, _("Not found."))
    return problem_page(request, 404, _("Not found"), _("This page does not exist or has been removed."))


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's handler500; under ``/api/``, the middleware replaces its page by the envelope."""
    return defaults.server_error(request)


@csrf_exempt  # so that every other method is a 405
@never_cache
@require_safe
def health(request: HttpRequest) -> JsonResponse:
    """Report that this process is alive."""
    return JsonResponse({"status": "ok"})


@csrf_exempt
@never_cache
@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """Report whether MongoDB and Redis answer and a worker is alive; 503 with the reasons if not.

    Clocks that differ only give a warning: the process follows MongoDB's clock, so it works. A process that
    was asked to stop is not ready, whatever its servers say.
    """
    if is_draining():
        return JsonResponse({"status": "stopping", "checks": {}, "warnings": []}, status=503)
    states = check_dependencies()
    is_ready = all(state["ok"] for state in states.values())
    are_servers_up = all(name in states and states[name]["ok"] for name in ("mongodb", "redis"))
    body = {
        "status": "ready" if is_ready else "unavailable",
        "checks": states,
        "warnings": known_clock_problems() if are_servers_up else [],
    }
    return JsonResponse(body, status=200 if is_ready else 503)
