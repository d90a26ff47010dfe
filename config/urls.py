"""The root URL configuration: includes, single addresses and error handlers."""

from __future__ import annotations

from django.conf import settings
from django.contrib import admin
from django.urls import include, path, re_path

from apps.admin.metrics.views import prometheus
from apps.core.api.openapi_views import ApiRootView, DocsView, SchemaView
from apps.core.web import views as core_views

handler400 = "apps.core.web.views.bad_request"
handler403 = "apps.core.web.views.permission_denied"
handler404 = "apps.core.web.views.not_found"
handler500 = "apps.core.web.views.server_error"

# The addresses of the former program, if they are switched on.
_FORMER = [re_path(settings.COMPAT_ROUTE, include("apps.compat.urls"))] if settings.COMPAT_API else []
# What the first address of the API names: by what is there, the name of its address below.
_API_LINKS = {
    "docs": "docs",
    "schema": "schema",
    "health": "health",
    "ready": "ready",
    "login": "collector_auth:login",
    "me": "collector_auth:me",
    "categories": "category-list",
    "figures": "figures",
    "records": "records",
    "sync_tasks": "sync-tasks",
    "panel_config": "panel-config",
    "panel_tasks": "panel-tasks",
}
# API addresses are written without a trailing slash; TrailingSlashMiddleware accepts both forms.
urlpatterns = [
    path("", core_views.root, name="root"),
    path("health", core_views.health, name="health"),
    path("ready", core_views.ready, name="ready"),
    path("metrics", prometheus, name="metrics"),
    path(settings.ADMIN_PATH, admin.site.urls),
    path("oidc/", include("apps.auth.oidc.urls")),  # logins by the provider
    path("i18n/", include("django.conf.urls.i18n")),  # the language switch of the admin
    path("api", ApiRootView.as_view(links=_API_LINKS), name="api-root"),
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
