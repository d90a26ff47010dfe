"""The addresses below ``/api/panel-config`` and ``/api/panel``; they have no trailing slash."""

from __future__ import annotations

from django.urls import path

from apps.panels.views import PanelConfigAliasViewSet, PanelConfigViewSet, PanelTaskViewSet

urlpatterns = [
    path(
        "panel-config", PanelConfigViewSet.as_view({"get": "retrieve", "put": "update"}), name="panel-config"
    ),
    path(
        "panel/config",
        PanelConfigAliasViewSet.as_view({"get": "retrieve", "put": "update"}),
        name="panel-config-alias",
    ),
    path("panel/tasks", PanelTaskViewSet.as_view({"get": "list"}), name="panel-tasks"),
    path("panel/tasks/<str:task_id>/run", PanelTaskViewSet.as_view({"post": "run"}), name="panel-task-run"),
    path("panel/data/fill", PanelTaskViewSet.as_view({"post": "fill"}), name="panel-data-fill"),
]
