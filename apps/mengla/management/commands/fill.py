"""`manage.py fill`: collect only the gaps in a range of periods."""

from __future__ import annotations

from django.core.management.base import CommandParser
from django.utils.translation import gettext_noop

from apps.mengla.management.arguments import add_range, add_selection, read_range, read_selection
from apps.mengla.management.run_commands import Options, RunCommand
from apps.mengla.queries.plans import Plan
from apps.mengla.runs.collect import fill_plan


class Command(RunCommand):
    """Starts a run that collects the missing, empty, or provisional and due figures in a range of periods."""

    help = gettext_noop(
        "Collect only missing or empty data in a range of periods, and provisional data whose period is "
        "over. Other stale data is not collected again."
    )
    examples = ("fill --from 2025-06-01 --to 2025-06-30 --dry-run",)

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the range and the selection."""
        add_range(parser)
        add_selection(parser)
        super().add_arguments(parser)

    def plan(self, options: Options) -> Plan:
        """Return the plan of the gaps."""
        start, end = read_range(options)
        return fill_plan(start, end, selection=read_selection(options))
