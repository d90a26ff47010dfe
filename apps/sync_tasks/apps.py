"""The Django app of runs."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class SyncTasksConfig(AppConfig):
    """Registers the app; the app that does the work of runs registers that work (see ``work``)."""

    name = "apps.sync_tasks"
    label = "sync_tasks"
    verbose_name = _("Sync tasks")
