"""Addresses below ``/api/admin``; written without a slash at their end."""

from __future__ import annotations

from django.urls import URLPattern

app_name = "ops"  # `admin` is the namespace of Django's admin site
urlpatterns: list[URLPattern] = []
