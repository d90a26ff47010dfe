"""The Django app of runs."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class SyncTasksConfig(AppConfig):
    """Registers the app; what the work of a run is, is registered by the app that does it."""

    name = "apps.sync_tasks"
    label = "sync_tasks"
    verbose_name = _("Sync tasks")
