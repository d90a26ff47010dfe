"""`manage.py backfill_check`: find the gaps in the last closed periods and collect them."""

from __future__ import annotations

from django.utils.translation import gettext_noop

from apps.core import market_clock
from apps.mengla.management.run_commands import Options, RunCommand
from apps.mengla.queries.plans import Plan
from apps.mengla.runs.collect import backfill_check_plan


class Command(RunCommand):
    """Starts the run that the schedule of the same name starts every few hours."""

    help = gettext_noop(
        "Collect missing, empty or still provisional data of the last closed periods (BACKFILL_DAYS, "
        "BACKFILL_MONTHS, ...)."
    )
    examples = ("backfill_check --wait --json",)

    def plan(self, options: Options) -> Plan:
        """Return the plan of the look-back windows."""
        return backfill_check_plan(market_clock.today())
