"""`manage.py backfill`: collect a range of periods at the lowest priority."""

from __future__ import annotations

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from apps.mengla.management.arguments import add_range, add_selection, read_range, read_selection
from apps.mengla.management.run_commands import Options, RunCommand
from apps.mengla.queries.plans import Plan
from apps.mengla.runs.collect import backfill_plan


class Command(RunCommand):
    """Starts a run that collects the missing, empty and stale figures in a range of periods."""

    help = gettext_noop(
        "Collect a range of periods, the newest first. Requests of readers and schedules go first."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the range and the selection."""
        add_range(parser)
        add_selection(parser)
        parser.add_argument("--force", action="store_true", help=_("also collect data that is up to date"))
        super().add_arguments(parser)

    def plan(self, options: Options) -> Plan:
        """Return the plan of the range."""
        start, end = read_range(options)
        return backfill_plan(start, end, selection=read_selection(options), is_forced=options["force"])
