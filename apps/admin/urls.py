"""Addresses below ``/api/admin``, without a trailing slash."""

from __future__ import annotations

from django.urls import URLPattern, path

from apps.admin.alerts.views import AlertViewSet
from apps.admin.breaker.views import BreakerViewSet
from apps.admin.caches.views import CacheViewSet
from apps.admin.data.views import DataViewSet
from apps.admin.health.views import HealthViewSet
from apps.admin.metrics.views import MetricsViewSet
from apps.admin.runs.views import CollectingViewSet
from apps.admin.scheduler.views import SchedulerViewSet

app_name = "ops"  # `admin` is the namespace of Django's admin site
urlpatterns: list[URLPattern] = [
    path("metrics", MetricsViewSet.as_view({"get": "list"}), name="metrics"),
    path("metrics/latency", MetricsViewSet.as_view({"get": "latency"}), name="metrics-latency"),
    path("mengla/status", CollectingViewSet.as_view({"post": "status"}), name="mengla-status"),
    path("mengla/enqueue-full-crawl", CollectingViewSet.as_view({"post": "full_crawl"}), name="full-crawl"),
    path("backfill", CollectingViewSet.as_view({"post": "backfill"}), name="backfill"),
    path("tasks/cancel-all", CollectingViewSet.as_view({"post": "cancel_all"}), name="cancel-all"),
    path("cache/stats", CacheViewSet.as_view({"get": "stats"}), name="cache-stats"),
    path("cache/warmup", CacheViewSet.as_view({"post": "warm_up"}), name="cache-warmup"),
    path("cache/clear-l1", CacheViewSet.as_view({"post": "clear_l1"}), name="cache-clear-l1"),
    path("circuit-breakers", BreakerViewSet.as_view({"get": "show"}), name="circuit-breakers"),
    path("circuit-breakers/reset", BreakerViewSet.as_view({"post": "reset"}), name="circuit-breakers-reset"),
    path("scheduler/status", SchedulerViewSet.as_view({"get": "status"}), name="scheduler-status"),
    path("scheduler/pause", SchedulerViewSet.as_view({"post": "pause"}), name="scheduler-pause"),
    path("scheduler/resume", SchedulerViewSet.as_view({"post": "resume"}), name="scheduler-resume"),
    path("collect-health", HealthViewSet.as_view({"get": "collecting"}), name="collect-health"),
    path("system/status", HealthViewSet.as_view({"get": "system"}), name="system-status"),
    path("alerts", AlertViewSet.as_view({"get": "list"}), name="alerts"),
    path("alerts/history", AlertViewSet.as_view({"get": "history"}), name="alerts-history"),
    path("alerts/check", AlertViewSet.as_view({"post": "check"}), name="alerts-check"),
    path("alerts/rules", AlertViewSet.as_view({"get": "rules"}), name="alerts-rules"),
    path("alerts/silence", AlertViewSet.as_view({"post": "silence"}), name="alerts-silence"),
    path("alerts/silence/end", AlertViewSet.as_view({"post": "end_silence"}), name="alerts-silence-end"),
    path("alerts/test", AlertViewSet.as_view({"post": "test"}), name="alerts-test"),
    path("data/purge", DataViewSet.as_view({"post": "purge"}), name="data-purge"),
    path("duplicates/remove", DataViewSet.as_view({"post": "remove_duplicates"}), name="duplicates-remove"),
]
