"""The addresses below ``/api/sync-tasks``; they have no trailing slash."""

from __future__ import annotations

from django.urls import path

from apps.sync_tasks.views import SyncTaskViewSet

urlpatterns = [
    path("sync-tasks", SyncTaskViewSet.as_view({"get": "list"}), name="sync-tasks"),
    path("sync-tasks/today", SyncTaskViewSet.as_view({"get": "today"}), name="sync-tasks-today"),
    path(
        "sync-tasks/<str:run_id>",
        SyncTaskViewSet.as_view({"get": "retrieve", "delete": "destroy"}),
        name="sync-task",
    ),
    path(
        "sync-tasks/<str:run_id>/cancel", SyncTaskViewSet.as_view({"post": "cancel"}), name="sync-task-cancel"
    ),
    path("sync-tasks/<str:run_id>/retry", SyncTaskViewSet.as_view({"post": "retry"}), name="sync-task-retry"),
]
