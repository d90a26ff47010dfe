"""`manage.py caches`: what the caches hold, clearing and warming them."""

from __future__ import annotations

from typing import Any, ClassVar

from django.core.management.base import CommandParser
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from apps.admin.caches.serializers import CacheStatsSerializer
from apps.admin.caches.services import clear_l1, read_cache_stats
from apps.core.management.arguments import whole_number
from apps.core.management.base import OPERATOR, ExitCode
from apps.core.management.subcommands import Options, Result, SubcommandsMixin
from apps.mengla.maintenance.purge import PurgeTarget, purge
from apps.mengla.management.arguments import add_selection, granularity_argument, read_selection
from apps.mengla.management.run_commands import ORDER, FollowingCommand
from apps.mengla.runs.collect import start
from apps.mengla.runs.warm_up import DEFAULT_LIMIT, MAX_LIMIT, warm_up_plan


class Command(SubcommandsMixin, FollowingCommand):
    """Shows, clears and warms the caches."""

    help = gettext_noop("Show what the caches hold, clear them, or put the newest figures into them.")
    subcommands: ClassVar = {
        "show": gettext_noop("count the entries of the shared cache, and the reads of today"),
        "clear": gettext_noop("empty the caches; the next reads are slower"),
        "warm-up": gettext_noop("start a sync task that puts the newest figures into the shared cache"),
    }
    asking = frozenset({"clear", "warm-up"})
    examples = ("caches show", "caches clear --l1 --yes", "caches warm-up --limit 2000 --yes --wait")

    def add_clear(self, parser: CommandParser) -> None:
        """Add which caches."""
        parser.add_argument(
            "--l1",
            action="store_true",
            help=_("only the caches in the memory of the processes; the shared one in Redis stays"),
        )

    def add_warm_up(self, parser: CommandParser) -> None:
        """Add which figures."""
        parser.add_argument(
            "--granularity",
            nargs="+",
            action="extend",
            default=[],
            type=granularity_argument,
            metavar="G",
            help=_("day, month, quarter and year (default: all of them)"),
        )
        parser.add_argument(
            "--limit",
            type=whole_number(1, MAX_LIMIT),
            default=DEFAULT_LIMIT,
            metavar="N",
            help=_("number of records, the newest first, at most %(limit)d (default: %%(default)s)")
            % {"limit": MAX_LIMIT},
        )
        add_selection(parser, all_categories=_("every category"))
        self.add_waiting(parser)

    def do_show(self, _options: Options) -> Result:
        """Count what the shared cache holds; L1 is in the memory of other processes."""
        stats = read_cache_stats()
        shown: dict[str, Any] = dict(CacheStatsSerializer(stats).data)
        facts = {
            "entries": stats.l2.entries,
            "groups": stats.l2.groups,
            "size": filesizeformat(stats.l2.bytes).replace("\xa0", " "),
        }
        text = _("Shared cache (Redis): %(entries)d entries in %(groups)d groups, %(size)s.")
        if not stats.l2.is_complete:
            text = _("Shared cache (Redis): at least %(entries)d entries in %(groups)d groups, %(size)s.")
        reads = stats.today
        lines = [text % facts, _("Reads today: %(total)d; %(hits)d hits, %(misses)d misses.") % reads]
        return {name: shown[name] for name in ("l2", "today")}, "\n".join(lines), ExitCode.DONE

    def do_clear(self, options: Options) -> Result:
        """Empty the caches of all processes, and unless ``--l1`` the shared one."""
        if options["l1"]:
            self.confirm(_("Clear the caches in the memory of all processes?"), options)
            clear_l1(cleared_by=OPERATOR)
            return {"cleared": True}, _("The caches of the processes were cleared."), ExitCode.DONE
        self.confirm(_("Clear all caches? The next reads are slower."), options)
        purge(targets={PurgeTarget.REDIS}, purged_by=OPERATOR)
        return {"cleared": True}, _("The caches were cleared."), ExitCode.DONE

    def do_warm_up(self, options: Options) -> Result:
        """Start a warm-up."""
        self.check_waiting(options)
        plan = warm_up_plan(
            read_selection(options), granularities=options["granularity"], limit=options["limit"]
        )
        facts = {"limit": options["limit"]}
        self.confirm(_("Warm the cache now? This reads up to %(limit)d records.") % facts, options)
        return self.start_and_follow(lambda: start(plan, ORDER), options)
