"""What every page of the control room shares: who may see it, and its frame."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from django.contrib import admin
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache

from apps.core.admin_base.rights import may, may_look
from apps.core.errors import DomainError

SEE_RECORDS = "mengla.view_record"
SEE_COLLECTIONS = "mengla.view_collection"
CHANGE_COLLECTIONS = "mengla.change_collection"

View = Callable[..., HttpResponse]


def staff_view(*, sees: str = "", changes: str = "") -> Callable[[View], View]:
    """Decorate a view for staff users: those who may see or change something, where it is named.

    Strangers are sent to the login; a script of ours, which could do nothing with that page, gets a 403.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def answer(request: HttpRequest, **parameters: Any) -> HttpResponse:
            if not admin.site.has_permission(request):
                if wants_json(request):
                    return json_problem(_("Log in again."), status=403)
                return redirect_to_login(request.get_full_path(), reverse("admin:login"))
            if (sees and not may_look(request, sees)) or (changes and not may(request, changes)):
                if wants_json(request):
                    return json_problem(_("You have no permission for this."), status=403)
                raise PermissionDenied
            return view(request, **parameters)

        return never_cache(answer)

    return decorate


def wants_json(request: HttpRequest) -> bool:
    """Whether a script of ours asks, not a person."""
    return request.headers.get("Accept", "").startswith("application/json")


def json_problem(message: str, *, status: int) -> JsonResponse:
    """Tell a script of ours what is wrong."""
    return JsonResponse({"error": message}, status=status)


def page(
    request: HttpRequest, template: str, context: Mapping[str, Any], *, title: str, status: int = 200
) -> HttpResponse:
    """Render a page inside the frame of the admin."""
    frame = {**admin.site.each_context(request), "title": title}
    return render(request, f"collector/{template}", {**frame, **context}, status=status)


def message_of(error: DomainError) -> str:
    """Return what is wrong with an input, as one text for people."""
    if error.fields:
        return " ".join(f"{name}: {' '.join(messages)}" for name, messages in error.fields.items())
    return error.message
