"""The schedules of this app."""

from __future__ import annotations

from django.conf import settings

from apps.core.scheduling.schedules import WantedSchedule

_INTENDED = "intended_at"


def get_schedules() -> list[WantedSchedule]:
    """Return the schedules that must exist."""
    tasks = "apps.mengla.tasks"
    return [
        WantedSchedule("tick", f"{tasks}.tick", settings.CRON_TICK),
        WantedSchedule("daily_collect", f"{tasks}.daily_collect", settings.CRON_DAILY_COLLECT, _INTENDED),
        WantedSchedule(
            "monthly_collect", f"{tasks}.monthly_collect", settings.CRON_MONTHLY_COLLECT, _INTENDED
        ),
        WantedSchedule(
            "quarterly_collect", f"{tasks}.quarterly_collect", settings.CRON_QUARTERLY_COLLECT, _INTENDED
        ),
        WantedSchedule("yearly_collect", f"{tasks}.yearly_collect", settings.CRON_YEARLY_COLLECT, _INTENDED),
        WantedSchedule("backfill_check", f"{tasks}.backfill_check", settings.CRON_BACKFILL_CHECK, _INTENDED),
    ]
