"""The addresses below ``/api/auth/``; they have no trailing slash."""

from __future__ import annotations

from django.urls import path

from apps.auth.entry import schema  # noqa: F401 - the import registers bearer tokens for OpenAPI
from apps.auth.views import LoginView, MeView, TokenViewSet

app_name = "collector_auth"

urlpatterns = [
    path("login", LoginView.as_view(), name="login"),
    path("me", MeView.as_view(), name="me"),
    path("generate-token", TokenViewSet.as_view({"post": "create"}), name="generate-token"),
    path("tokens", TokenViewSet.as_view({"get": "list"}), name="tokens"),
    path("tokens/<str:token_id>", TokenViewSet.as_view({"delete": "destroy"}), name="token"),
]
