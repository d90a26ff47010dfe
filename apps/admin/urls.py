"""Addresses below ``/api/admin``; written without a slash at their end."""

from __future__ import annotations

from django.urls import URLPattern, path

from apps.admin.metrics.views import MetricsViewSet

app_name = "ops"  # `admin` is the namespace of Django's admin site
urlpatterns: list[URLPattern] = [
    path("metrics", MetricsViewSet.as_view({"get": "list"}), name="metrics"),
    path("metrics/latency", MetricsViewSet.as_view({"get": "latency"}), name="metrics-latency"),
]
