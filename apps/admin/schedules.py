"""The schedules of this app."""

from __future__ import annotations

from django.conf import settings

from apps.core.scheduling.schedules import WantedSchedule


def get_schedules() -> list[WantedSchedule]:
    """Return the schedules that should exist."""
    return [WantedSchedule("alert_check", "apps.admin.tasks.alert_check", settings.CRON_ALERT_CHECK)]
