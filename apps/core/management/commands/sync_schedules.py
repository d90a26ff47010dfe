"""`manage.py sync_schedules`: bring the stored schedules in line with the settings."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from apps.core.management.base import CollectorCommand, ExitCode
from apps.core.schedules import sync_schedules


class Command(CollectorCommand):
    """Upserts every schedule by its name."""

    help = "Register the product's schedules; times edited in the admin are kept."

    def run(self, **options: Any) -> tuple[Mapping[str, Any], str, ExitCode]:
        """Sync and report."""
        result = dataclasses.asdict(sync_schedules())
        summary = ", ".join(f"{len(names)} {what}" for what, names in result.items())
        return result, f"Schedules: {summary}.", ExitCode.DONE
