"""`manage.py backfill`: collect a range of periods, or the last ones, at the lowest priority."""

from __future__ import annotations

from datetime import date

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from apps.core import market_clock
from apps.core.errors import InvalidInput
from apps.core.management.arguments import whole_number
from apps.core.periods import MIN_YEAR, Granularity, PeriodError, previous_closed_period
from apps.mengla.management.arguments import add_range, add_selection, read_range, read_selection
from apps.mengla.management.run_commands import Options, RunCommand
from apps.mengla.queries.plans import Plan
from apps.mengla.runs.collect import MAX_RANGE_PERIODS, backfill_plan, recent_backfill_plan

# The longest periods first, as in the other plans of several granularities.
_COUNTS = {
    "years": Granularity.YEAR,
    "quarters": Granularity.QUARTER,
    "months": Granularity.MONTH,
    "days": Granularity.DAY,
}
_RANGE = ("range_start", "range_end", "granularity")


class Command(RunCommand):
    """Starts a run that collects the missing, empty and stale figures in a range, or in the last periods."""

    help = gettext_noop(
        "Collect a range of periods, or the last closed ones, the newest first. Requests of readers and "
        "schedules go first."
    )
    examples = (
        "backfill --from 2025-01 --to 2025-06 --category 厨房与餐具 --action hot --wait",
        "backfill --days 30 --months 12 --dry-run",
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the range, the numbers of periods and the selection."""
        add_range(parser, is_required=False)
        for name in reversed(_COUNTS):
            parser.add_argument(
                f"--{name}",
                type=whole_number(1, MAX_RANGE_PERIODS),
                metavar="N",
                help=_("the last N closed periods of this length, instead of --from and --to"),
            )
        add_selection(parser)
        parser.add_argument("--force", action="store_true", help=_("also collect data that is up to date"))
        super().add_arguments(parser)

    def plan(self, options: Options) -> Plan:
        """Return the plan of the range, or of the last periods."""
        counts = {length: options[name] for name, length in _COUNTS.items() if options[name] is not None}
        selection, is_forced = read_selection(options), options["force"]
        if counts:
            if any(options[name] is not None for name in _RANGE):
                raise InvalidInput(
                    _("--days, --months, --quarters and --years cannot be used with a range of periods.")
                )
            today = market_clock.today()
            _check_counts(options, today)
            return recent_backfill_plan(today, counts, selection=selection, is_forced=is_forced)
        if options["range_start"] is None or options["range_end"] is None:
            raise InvalidInput(
                _("Give --from and --to, or a number of --days, --months, --quarters or --years.")
            )
        start, end = read_range(options)
        return backfill_plan(start, end, selection=selection, is_forced=is_forced)


def _check_counts(options: Options, today: date) -> None:
    for name, length in _COUNTS.items():
        if (count := options[name]) is None:
            continue
        try:
            previous_closed_period(today, length).shift(1 - count)
        except PeriodError as error:
            message = _("--%(name)s %(count)d goes back beyond %(year)d.")
            raise InvalidInput(message % {"name": name, "count": count, "year": MIN_YEAR}) from error
