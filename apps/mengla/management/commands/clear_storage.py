"""`manage.py clear_storage`: delete the collected data, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from apps.core.management.arguments import one_of
from apps.core.management.base import OPERATOR, CollectorCommand, ExitCode
from apps.core.printable import list_text
from apps.mengla.maintenance.purge import Collected, Purged, PurgeTarget, count_collected, purge


class Command(CollectorCommand):
    """Runs the purge; asks before it deletes."""

    help = gettext_noop(
        "Delete collected data: records, ended collections and sync tasks, and the caches. Users, tokens, "
        "panels, categories, schedules and settings are never touched. Asks for confirmation, unless --yes."
    )
    can_dry_run = True
    examples = ("clear_storage --dry-run", "clear_storage --target redis --yes")
    operation_timeout_seconds = 24 * 3600

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the targets and ``--yes``."""
        parser.add_argument(
            "--target",
            nargs="+",
            type=one_of(lambda: [target.value for target in PurgeTarget]),
            default=[target.value for target in PurgeTarget],
            metavar="T",
            help=_(
                "mongodb (and all caches), redis (all caches), l1 (the caches of the processes); default: all"
            ),
        )
        self.add_confirmation(parser)
        super().add_arguments(parser)

    def run(self, **options: Any) -> tuple[Mapping[str, Any], str, ExitCode]:
        """Count the data, ask for confirmation, and delete it."""
        targets = {PurgeTarget(name) for name in options["target"]}
        found = count_collected() if PurgeTarget.MONGODB in targets else Collected(0, 0, 0)
        result = {"is_dry_run": options["dry_run"], "targets": sorted(targets), "found": _described(found)}
        if options["dry_run"]:
            text = _("Dry run, nothing deleted. Found %(counts)s.") % {"counts": _counts(found)}
            return result, text, ExitCode.DONE
        if not options["yes"] and not self._is_confirmed(found, targets):
            return result | {"deleted": None}, _("Nothing was deleted."), ExitCode.FAILED
        with self.progress(_("Deleting"), options) as display:
            purged = purge(
                targets=targets,
                purged_by=OPERATOR,
                on_progress=lambda count: display.show(done=count, total=max(count, found.total), facts=""),
            )
        return result | {"deleted": _described_purge(purged)}, _summary(purged), ExitCode.DONE

    def _is_confirmed(self, found: Collected, targets: set[PurgeTarget]) -> bool:
        if PurgeTarget.MONGODB in targets:
            text = _("This deletes %(counts)s, and clears the caches. It cannot be undone.")
            self.stderr.write(text % {"counts": _counts(found)})
        else:
            self.stderr.write(_("This clears the caches: %(names)s.") % {"names": list_text(sorted(targets))})
        return self.is_confirmed()


def _described(counted: Collected | Purged) -> dict[str, Any]:
    return {"records": counted.records, "collections": counted.collections, "sync_tasks": counted.runs}


def _described_purge(purged: Purged) -> dict[str, Any]:
    caches = {"caches_cleared": purged.are_caches_cleared, "l1_cleared": purged.is_l1_cleared}
    return _described(purged) | caches | {"is_complete": purged.is_complete}


def _summary(purged: Purged) -> str:
    lines = [_("Deleted %(counts)s.") % {"counts": _counts(purged)}]
    if purged.are_caches_cleared:
        lines.append(_("The caches were cleared."))
    elif purged.is_l1_cleared:
        lines.append(_("The caches of the processes were cleared."))
    return "\n".join(lines)


def _counts(counted: Collected | Purged) -> str:
    return _("%(records)d records, %(collections)d ended collections and %(runs)d ended sync tasks") % {
        "records": counted.records,
        "collections": counted.collections,
        "runs": counted.runs,
    }
