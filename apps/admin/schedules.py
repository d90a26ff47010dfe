"""The schedules of this app."""

from __future__ import annotations

from django.conf import settings
from django.utils.translation import gettext_noop

from apps.core.scheduling.schedules import WantedSchedule


def get_schedules() -> list[WantedSchedule]:
    """Return the schedules that should exist."""
    cron, title = settings.CRON_ALERT_CHECK, gettext_noop("Alert check")
    return [WantedSchedule("alert_check", "apps.admin.tasks.alert_check", cron, title=title)]
