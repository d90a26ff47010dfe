"""Runs in the Django admin: to look at."""

from __future__ import annotations

from django.contrib import admin

from apps.core.admin_base.model_admin import LargeReadOnlyAdmin
from apps.sync_tasks.models import SyncTask


@admin.register(SyncTask)
class SyncTaskAdmin(LargeReadOnlyAdmin[SyncTask]):
    """Read-only: runs are written by the services alone."""

    list_display = ("name", "status", "trigger", "period", "started_at", "finished_at")
    list_filter = ("status", "trigger")
    search_fields = ("task_id", "name", "period")
    ordering = ("-started_at", "-id")
