"""The error page for people, such as 403 or 404, with a link back."""

from __future__ import annotations

from django.contrib import admin
from django.db.utils import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import reverse
from pymongo.errors import PyMongoError

from apps.core.admin_base.outage_page import outage_page


def problem_page(
    request: HttpRequest, status: int, title: str, text: str, *, way: tuple[str, str] | None = None
) -> HttpResponse:
    """Return the error page: for staff inside the admin with its menu, for others as a page of its own.

    :param way: the label and the address of a link for staff, beside the one to the dashboard.
    """
    context = {"title": title, "text": text, "back": reverse("admin:index"), "way": way}
    try:
        if _is_staff(request):
            frame = admin.site.each_context(request)
            body = render_to_string("collector/problem.html", {**frame, **context}, request)
        else:
            body = render_to_string("collector/problem_bare.html", context)
    except (PyMongoError, DatabaseError) as error:  # the user's rights cannot be read
        outage = outage_page(error)
        if outage is None:
            raise
        return outage
    return HttpResponse(body, status=status)


def _is_staff(request: HttpRequest) -> bool:
    # A request that an early middleware refused has no user.
    return hasattr(request, "user") and admin.site.has_permission(request)
