"""The schedules of this app."""

from __future__ import annotations

from django.conf import settings
from django.utils.translation import gettext_noop

from apps.core.scheduling.schedules import WantedSchedule
from apps.mengla.runs.collect import TASK_NAMES

_INTENDED = "intended_at"
_TASKS = "apps.mengla.tasks"


def get_schedules() -> list[WantedSchedule]:
    """Return the schedules that must exist."""
    crons = {
        "daily_collect": settings.CRON_DAILY_COLLECT,
        "monthly_collect": settings.CRON_MONTHLY_COLLECT,
        "quarterly_collect": settings.CRON_QUARTERLY_COLLECT,
        "yearly_collect": settings.CRON_YEARLY_COLLECT,
        "backfill_check": settings.CRON_BACKFILL_CHECK,
    }
    return [
        WantedSchedule("tick", f"{_TASKS}.tick", settings.CRON_TICK, title=gettext_noop("Maintenance")),
        *(
            WantedSchedule(name, f"{_TASKS}.{name}", cron, _INTENDED, TASK_NAMES[name])
            for name, cron in crons.items()
        ),
    ]
