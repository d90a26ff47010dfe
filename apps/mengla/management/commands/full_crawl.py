"""`manage.py full_crawl`: collect several granularities for every category of the tree."""

from __future__ import annotations

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from apps.core import market_clock
from apps.core.errors import InvalidInput
from apps.core.periods import parse_days
from apps.mengla.management.arguments import add_selection, granularity_argument, read_selection
from apps.mengla.management.run_commands import Options, RunCommand
from apps.mengla.queries.plans import Plan
from apps.mengla.runs.collect import full_crawl_plan


class Command(RunCommand):
    """Starts a run that collects the last closed periods, or all that a range of days touches."""

    help = gettext_noop(
        "Collect every granularity for every category of the tree: the last closed periods, or all periods "
        "that a range of days touches."
    )
    examples = ("full_crawl --from 2025-01-01 --to 2025-06-30 --granularity month quarter --action hot",)

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the range, the granularities and the selection."""
        parser.add_argument(
            "--from",
            dest="range_start",
            metavar="D",
            help=_("first day, or a period for its first day: 2025-06-01, 2025-06, 2025-Q2, 2025"),
        )
        parser.add_argument(
            "--to", dest="range_end", metavar="D", help=_("last day, or a period for its last day")
        )
        parser.add_argument(
            "--granularity",
            nargs="+",
            action="extend",
            default=[],
            type=granularity_argument,
            metavar="G",
            help=_("day, month, quarter and year (default: all of them)"),
        )
        add_selection(parser, all_categories=_("every category of the tree"))
        super().add_arguments(parser)

    def plan(self, options: Options) -> Plan:
        """Return the plan of the crawl."""
        start, end = options["range_start"], options["range_end"]
        if (start is None) != (end is None):
            raise InvalidInput(_("--from and --to must be given together."))
        return full_crawl_plan(
            market_clock.today(),
            selection=read_selection(options),
            granularities=options["granularity"],
            days=None if start is None else parse_days(start, end),
        )
