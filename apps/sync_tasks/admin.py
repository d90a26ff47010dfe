"""Runs in the Django admin: to look at."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest

from apps.sync_tasks.models import SyncTask


@admin.register(SyncTask)
class SyncTaskAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Read-only: runs are written by the services alone."""

    list_display = ("name", "status", "trigger", "period", "started_at", "finished_at")
    list_filter = ("status", "trigger")
    search_fields = ("task_id", "name", "period")
    ordering = ("-started_at", "-id")
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody adds runs here."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: SyncTask | None = None) -> bool:
        """Nobody edits runs."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: SyncTask | None = None) -> bool:
        """Nobody deletes runs here: their records and collections would not be told."""
        return False
