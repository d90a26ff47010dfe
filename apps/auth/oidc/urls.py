"""The addresses below ``/oidc/``; without OIDC_ISSUER_URL they are 404."""

from __future__ import annotations

from django.urls import path

from apps.auth.oidc import views

app_name = "collector_oidc"

urlpatterns = [
    path("login", views.begin, name="begin"),
    path("callback", views.callback, name="callback"),
]
