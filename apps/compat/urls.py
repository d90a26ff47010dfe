"""The addresses below COMPAT_PREFIX + ``/api/``: those that the former program's clients use."""

from __future__ import annotations

from django.urls import path, re_path

from apps.compat.base import unknown_address
from apps.compat.views.access import LoginViewSet, TokenViewSet
from apps.compat.views.operators import OperationViewSet, SchedulerViewSet, WatchingViewSet
from apps.compat.views.panels import PanelConfigViewSet, PanelTaskViewSet
from apps.compat.views.reading import CategoryViewSet, FiguresViewSet
from apps.compat.views.runs import CollectingViewSet, SyncTaskViewSet

urlpatterns = [
    path("auth/login", LoginViewSet.as_view({"post": "log_in"})),
    path("auth/generate-token", TokenViewSet.as_view({"post": "create"})),
    path("categories", CategoryViewSet.as_view({"get": "list"})),
    path("mengla/query", FiguresViewSet.as_view({"post": "query"})),
    path("panel/config", PanelConfigViewSet.as_view({"get": "retrieve", "put": "update"})),
    path("panel/tasks/<str:task_id>/run", PanelTaskViewSet.as_view({"post": "run"})),
    path("panel/data/fill", PanelTaskViewSet.as_view({"post": "fill"})),
    path("sync-tasks/today", SyncTaskViewSet.as_view({"get": "today"})),
    path("sync-tasks/<str:run_id>/cancel", SyncTaskViewSet.as_view({"post": "cancel"})),
    path("sync-tasks/<str:run_id>", SyncTaskViewSet.as_view({"delete": "destroy"})),
    path("admin/mengla/status", CollectingViewSet.as_view({"post": "status"})),
    path("admin/mengla/enqueue-full-crawl", CollectingViewSet.as_view({"post": "full_crawl"})),
    path("admin/backfill", CollectingViewSet.as_view({"post": "backfill"})),
    path("admin/tasks/cancel-all", CollectingViewSet.as_view({"post": "cancel_all"})),
    path("admin/scheduler/status", SchedulerViewSet.as_view({"get": "status"})),
    path("admin/scheduler/pause", SchedulerViewSet.as_view({"post": "pause"})),
    path("admin/scheduler/resume", SchedulerViewSet.as_view({"post": "resume"})),
    path("admin/collect-health", WatchingViewSet.as_view({"get": "health"})),
    path("admin/metrics", WatchingViewSet.as_view({"get": "metrics"})),
    path("admin/cache/stats", WatchingViewSet.as_view({"get": "cache"})),
    path("admin/circuit-breakers", WatchingViewSet.as_view({"get": "breakers"})),
    path("admin/alerts/silence", OperationViewSet.as_view({"post": "silence"})),
    path("admin/data/purge", OperationViewSet.as_view({"post": "purge"})),
    re_path(r"^", unknown_address),
]
