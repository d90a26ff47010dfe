"""The addresses of the plain views."""

from __future__ import annotations

from django.http import HttpResponse
from django.urls import path

from tests.benchmarks.plain.views import CategoryListView, CategoryView, FiguresView, PanelConfigView

urlpatterns = [
    path("health", lambda _: HttpResponse("ok")),
    path("api/mengla", FiguresView.as_view()),
    path("api/categories", CategoryListView.as_view()),
    path("api/categories/<str:pk>", CategoryView.as_view()),
    path("api/panel-config", PanelConfigView.as_view()),
]
