"""The addresses of an installation with COMPAT_API."""

from __future__ import annotations

from django.conf import settings
from django.urls import include, re_path

from config.urls import handler400, handler403, handler404, handler500
from config.urls import urlpatterns as own_patterns

__all__ = ["handler400", "handler403", "handler404", "handler500", "urlpatterns"]

urlpatterns = [*own_patterns, re_path(settings.COMPAT_ROUTE, include("apps.compat.urls"))]
