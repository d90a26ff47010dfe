"""The addresses of this app, below ``/api/``."""

from __future__ import annotations

from django.urls import path

from apps.mengla.views import CollectionViewSet, ExportViewSet, FiguresViewSet, RecordViewSet
from apps.mengla.webhooks import WebhookViewSet

urlpatterns = [
    path("mengla", FiguresViewSet.as_view({"get": "read"}), name="figures"),
    path("mengla/query", FiguresViewSet.as_view({"post": "query"}), name="figures-query"),
    path("mengla/high", FiguresViewSet.as_view({"post": "high"}), name="figures-high"),
    path("mengla/hot", FiguresViewSet.as_view({"post": "hot"}), name="figures-hot"),
    path("mengla/chance", FiguresViewSet.as_view({"post": "chance"}), name="figures-chance"),
    path(
        "mengla/industry-view",
        FiguresViewSet.as_view({"post": "industry_view"}),
        name="figures-industry-view",
    ),
    path(
        "mengla/industry-trend",
        FiguresViewSet.as_view({"post": "industry_trend"}),
        name="figures-industry-trend",
    ),
    path(
        "mengla/collections/<str:collection_id>",
        CollectionViewSet.as_view({"get": "retrieve"}),
        name="collection",
    ),
    path("mengla/export", ExportViewSet.as_view({"get": "export"}), name="export"),
    path("mengla/records", RecordViewSet.as_view({"get": "list"}), name="records"),
    path(
        "webhook/mengla-notify",
        WebhookViewSet.as_view({"get": "probe", "post": "notify"}),
        name="webhook",
    ),
]
