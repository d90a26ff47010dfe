"""The admin site: the theme's, with a throttled login and with the pages of the control room."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.urls import URLPattern
from django.utils.translation import gettext_lazy as _

from apps.admin.script_texts import ScriptTexts

if TYPE_CHECKING:
    from django.contrib.admin import AdminSite as UnfoldAdminSite
else:
    from unfold.sites import UnfoldAdminSite

_MAX_SEARCH_LENGTH = 100


class CollectorAdminSite(UnfoldAdminSite):
    """The site behind ``/admin/``."""

    site_title = _("MengLa Collector")
    site_header = _("MengLa Collector")
    index_title = _("Dashboard")
    enable_nav_sidebar = True

    def get_urls(self) -> list[Any]:
        """Return the addresses of all pages, which are loaded now: only who has addresses needs pages."""
        admin.autodiscover()
        urls: list[Any] = super().get_urls()
        return urls

    def extra_urls(self) -> list[URLPattern]:
        """Return the pages of the control room; the theme puts them before those of the models."""
        from apps.admin.pages.urls import urlpatterns  # they use the site, so they come after it

        return urlpatterns

    def i18n_javascript(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Answer the texts of the scripts, those too that Django lacks in the reader's language."""
        answer: HttpResponse = ScriptTexts.as_view()(request)  # type: ignore[assignment]
        return answer

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Answer a login that came too often with 429, and one that cannot be checked with 503."""
        response = super().login(request, extra_context)
        form = (getattr(response, "context_data", None) or {}).get("form")
        error = getattr(form, "refusal", None)
        if error is not None:
            response.status_code = error.code.http_status
            for name, value in error.headers.items():
                response.headers[name] = value
        return response

    def search(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Search the names of the pages; the theme's own search fails on a page that is no number."""
        term = request.GET.get("s", "")
        if request.GET.get("page", "1") != "1" or "\0" in term or len(term) > _MAX_SEARCH_LENGTH:
            return HttpResponseBadRequest()
        found: HttpResponse = super().search(request, extra_context)  # type: ignore[misc]
        return found
