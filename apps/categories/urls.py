"""The addresses of the category endpoints, below ``/api/``."""

from __future__ import annotations

from django.urls import path

from apps.categories.views import CategoryViewSet

urlpatterns = [
    path("categories", CategoryViewSet.as_view({"get": "list"}), name="category-list"),
    path("categories/<str:catId>", CategoryViewSet.as_view({"get": "retrieve"}), name="category-detail"),
]
