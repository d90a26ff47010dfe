"""The headers of pages: what a page may load and use. No other response has them."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

GetResponse = Callable[[HttpRequest], HttpResponseBase]


class PageHeadersMiddleware:
    """Adds the Content-Security-Policy (``SECURE_CSP``) and the Permissions-Policy to every page."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        self._headers = {
            "Content-Security-Policy": "; ".join(
                " ".join((name, *sources)) for name, sources in settings.SECURE_CSP.items()
            ),
            "Permissions-Policy": settings.PERMISSIONS_POLICY,
        }

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Return the response."""
        response = self.get_response(request)
        # The pages on which Django shows a developer an error have inline styles and scripts.
        is_for_developers = settings.DEBUG and response.status_code in (404, 500)
        is_page = response.headers.get("Content-Type", "").startswith("text/html")
        if is_page and not is_for_developers:
            for name, value in self._headers.items():
                response.headers.setdefault(name, value)
        return response
