"""The root URL configuration: includes, single addresses and error handlers."""

from __future__ import annotations

from django.conf import settings
from django.contrib import admin
from django.urls import include, path, re_path

from apps.admin.metrics.views import prometheus
from apps.core.api.openapi_views import DocsView, SchemaView
from apps.core.web import views as core_views

handler400 = "apps.core.web.views.bad_request"
handler403 = "apps.core.web.views.permission_denied"
handler404 = "apps.core.web.views.not_found"
handler500 = "apps.core.web.views.server_error"

# The addresses of the former program, if they are switched on.
_FORMER = [re_path(settings.COMPAT_ROUTE, include("apps.compat.urls"))] if settings.COMPAT_API else []
# API addresses are written without a trailing slash; TrailingSlashMiddleware accepts both forms.
urlpatterns = [
    path("health", core_views.health, name="health"),
    path("ready", core_views.ready, name="ready"),
    path("metrics", prometheus, name="metrics"),
    path(settings.ADMIN_PATH, admin.site.urls),
    path("i18n/", include("django.conf.urls.i18n")),  # the language switch of the admin
    path("api/", include("apps.mengla.urls")),  # first of the API: addresses are tried in this order
    path("api/schema", SchemaView.as_view(), name="schema"),
    path("api/docs", DocsView.as_view(url_name="schema"), name="docs"),
    path("api/auth/", include("apps.auth.urls")),
    path("api/", include("apps.categories.urls")),
    path("api/", include("apps.sync_tasks.urls")),
    path("api/", include("apps.panels.urls")),
    path("api/admin/", include("apps.admin.urls")),
    re_path(r"^api(?:/.*)?$", core_views.unknown_api_path),
    *_FORMER,
]
