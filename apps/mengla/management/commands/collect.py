"""`manage.py collect`: collect one period now."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from apps.core import market_clock
from apps.core.periods import Granularity, Period, parse_period, previous_closed_period
from apps.mengla.management.arguments import (
    add_selection,
    granularity_argument,
    read_selection,
)
from apps.mengla.management.run_commands import Options, RunCommand
from apps.mengla.queries.plans import Plan
from apps.mengla.runs.collect import period_plan


class Command(RunCommand):
    """Starts a run that collects a period: every data set, and the trend of its year so far."""

    help = gettext_noop(
        "Collect the figures of one period; without --date, of the last closed period in Asia/Shanghai."
    )
    examples = (
        "collect month --date 2025-06 --category 4200 --action hot chance --dry-run",
        "collect day --wait",
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the period and the selection."""
        parser.add_argument(
            "granularity",
            type=granularity_argument,
            metavar="GRANULARITY",
            help=_("day, month, quarter or year"),
        )
        parser.add_argument(
            "--date",
            metavar="D",
            help=_(
                "the period, written like its granularity: 2025-06-01, 2025-06, 2025-Q2, 2025, or without "
                "dashes"
            ),
        )
        add_selection(parser)
        parser.add_argument("--force", action="store_true", help=_("also collect data that is up to date"))
        super().add_arguments(parser)

    def plan(self, options: Options) -> Plan:
        """Return the plan of the period."""
        return period_plan(_period(options), selection=read_selection(options), is_forced=options["force"])


def _period(options: Options) -> Period:
    granularity: Granularity = options["granularity"]
    text: Any = options["date"]
    if text is None:
        return previous_closed_period(market_clock.today(), granularity)
    return parse_period(text, granularity)
