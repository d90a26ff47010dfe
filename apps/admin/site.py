"""The admin site: the theme's, with a throttled login and with the pages of the control room."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.urls import URLPattern, reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _now
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
    login_template = "collector_auth/login.html"

    def get_urls(self) -> list[Any]:
        """Return the addresses of all pages.

        It loads the admin modules here, because only a process that resolves addresses needs them.
        """
        admin.autodiscover()
        urls: list[Any] = super().get_urls()
        return urls

    def extra_urls(self) -> list[URLPattern]:
        """Return the pages of the control room; the theme puts them before those of the models."""
        from apps.admin.pages.urls import urlpatterns  # the pages import the site

        return urlpatterns

    def i18n_javascript(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Return the texts of the scripts, including those that Django has not translated."""
        response: HttpResponse = ScriptTexts.as_view()(request)  # type: ignore[assignment]
        return response

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Respond with 429 to a login that comes too often, and with 503 to one that cannot be checked."""
        response = super().login(request, (extra_context or {}) | _login_options(request))
        form = (getattr(response, "context_data", None) or {}).get("form")
        error = getattr(form, "refusal", None)
        if error is not None:
            response.status_code = error.code.http_status
            for name, value in error.headers.items():
                response.headers[name] = value
        return response

    def search(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Search the names of the pages; respond with 400 to input that breaks the theme's search."""
        term = request.GET.get("s", "")
        if request.GET.get("page", "1") != "1" or "\0" in term or len(term) > _MAX_SEARCH_LENGTH:
            return HttpResponseBadRequest()
        response: HttpResponse = super().search(request, extra_context)  # type: ignore[misc]
        return response


def _login_options(request: HttpRequest) -> dict[str, Any]:
    """Return what the login page offers: passwords, and the login by the provider if there is one."""
    options: dict[str, Any] = {"has_password_login": settings.ADMIN_PASSWORD_LOGIN}
    if settings.OIDC_ISSUER_URL:
        query = {"next": one} if (one := request.GET.get("next")) else {}
        label = _now("Log in with single sign-on")
        if settings.OIDC_NAME:
            label = _now("Log in with %(name)s") % {"name": settings.OIDC_NAME}
        options |= {
            "oidc_label": label,
            "oidc_url": f"{reverse('collector_oidc:begin')}{'?' if query else ''}{urlencode(query)}",
        }
    return options
