"""Addresses of the control room's own pages, below ``/admin/`` and in its namespace."""

from __future__ import annotations

from django.urls import URLPattern, path

from apps.admin.pages import diagnostics, run_task
from apps.admin.pages.alerts import silence as alert_silence
from apps.admin.pages.alerts import views as alerts
from apps.admin.pages.coverage import fill as coverage_fill
from apps.admin.pages.coverage import views as coverage
from apps.admin.pages.dashboard import views as dashboard
from apps.admin.pages.data import bulk as data_bulk
from apps.admin.pages.data import views as data
from apps.admin.pages.operations import confirm, overview, work

urlpatterns: list[URLPattern] = [
    path("", dashboard.dashboard, name="index"),  # replaces the admin's own first page
    path("live/", dashboard.live, name="collector_live"),
    path("coverage/", coverage.coverage_page, name="collector_coverage"),
    path("coverage/live/", coverage.changes, name="collector_coverage_live"),
    path("coverage/cell/", coverage.cell, name="collector_coverage_cell"),
    path("coverage/plan/", coverage.plan, name="collector_coverage_plan"),
    path("coverage/fill/", coverage_fill.fill, name="collector_coverage_fill"),
    path("data/", data.data_page, name="collector_data"),
    path("data/state/", data.state, name="collector_data_state"),
    path("data/bulk/", data_bulk.bulk, name="collector_data_bulk"),
    path("data/export/", data.export, name="collector_data_export"),
    path("alerts/", alerts.rules_page, name="collector_alerts"),
    path("alerts/test/", alerts.test_page, name="collector_alerts_test"),
    path("alerts/<str:key>/", alerts.rule_page, name="collector_alert_rule"),
    path("alerts/<str:key>/silence/", alert_silence.silence_page, name="collector_alert_silence"),
    path("alerts/<str:key>/silence/end/", alert_silence.end_page, name="collector_alert_silence_end"),
    path("operations/", overview.operations_page, name="collector_operations"),
    path("operations/collect/", work.collect, name="collector_operations_collect"),
    path("operations/<slug:slug>/", confirm.operation, name="collector_operation"),
    path("diagnostics/", diagnostics.diagnostics_page, name="collector_diagnostics"),
    path("run-task/", run_task.run_task_page, name="collector_run_task"),
]
