"""Sync tasks in the Django admin: watched live, cancelled, retried and deleted."""

from __future__ import annotations

from apps.sync_tasks.admin.runs import SyncTaskAdmin

__all__ = ["SyncTaskAdmin"]
