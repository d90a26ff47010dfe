"""`manage.py import_reference_data`: copy the figures of the former program."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from apps.core.errors import InvalidInput
from apps.core.management.arguments import whole_number
from apps.core.management.base import CollectorCommand, ExitCode, Stopped
from apps.core.management.tables import printable
from apps.mengla.former.import_journal import ImportCounts
from apps.mengla.former.reference_import import DEFAULT_BATCH_SIZE, ImportResult, import_reference_data
from apps.mengla.former.reference_source import open_source

_MAX_BATCH_SIZE = 10_000
_MAX_URI_LENGTH = 5000


class Command(CollectorCommand):
    """Runs the import; after an interruption it goes on where it stopped."""

    help = gettext_noop(
        "Copy the figures of the former program (its MongoDB collection mengla_data) into the records. "
        "Newer records are not overwritten. To continue an interrupted import, run the command again."
    )
    can_dry_run = True
    argument_errors = (InvalidInput,)
    operation_timeout_seconds = None

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the source."""
        parser.add_argument(
            "--uri",
            required=True,
            metavar="URI",
            help=_(
                "mongodb:// address of the source, which is only read; - reads the address from standard "
                "input, so that its password is not visible in the process list"
            ),
        )
        parser.add_argument(
            "--database", default="industry_monitor", metavar="NAME", help=_("(default: %(default)s)")
        )
        parser.add_argument(
            "--collection", default="mengla_data", metavar="NAME", help=_("(default: %(default)s)")
        )
        parser.add_argument(
            "--batch-size",
            type=whole_number(1, _MAX_BATCH_SIZE),
            default=DEFAULT_BATCH_SIZE,
            metavar="N",
            help=_("documents in a batch (default: %(default)s)"),
        )
        parser.add_argument(
            "--restart",
            action="store_true",
            help=_("start from the beginning instead of continuing an interrupted import"),
        )
        super().add_arguments(parser)

    def run(self, **options: Any) -> tuple[Mapping[str, Any], str, ExitCode]:
        """Import the documents and report their outcomes."""
        uri = options["uri"]
        if uri == "-":
            uri = sys.stdin.readline(_MAX_URI_LENGTH).strip()
        source_names = {"database": options["database"], "collection": options["collection"]}
        with (
            open_source(uri=uri, **source_names) as source,
            self.progress(_("Importing"), options) as display,
        ):

            def report(counts: ImportCounts, total: int) -> None:
                display.show(done=counts.read, total=max(total, counts.read), facts=_facts(counts))

            try:
                result = import_reference_data(
                    source,
                    batch_size=options["batch_size"],
                    is_dry_run=options["dry_run"],
                    is_restarted=options["restart"],
                    report=report,
                )
            except Stopped:
                display.note(_("Run the command again to continue from here."))
                raise
        code = _code_of(result)
        return _described(result, is_dry_run=options["dry_run"]), _summary(result, options), code


def _code_of(result: ImportResult) -> ExitCode:
    if not result.counts.is_balanced:
        return ExitCode.FAILED
    is_all = result.is_complete and not result.counts.unreadable
    return ExitCode.DONE if is_all else ExitCode.PARTLY_FAILED


def _described(result: ImportResult, *, is_dry_run: bool) -> dict[str, Any]:
    described = asdict(result.counts)
    described["unreadable_documents"] = described.pop("listed")
    return described | {
        "source_count": result.source_count,
        "is_verified": result.counts.is_balanced,
        "was_resumed": result.was_resumed,
        "is_dry_run": is_dry_run,
    }


def _summary(result: ImportResult, options: Mapping[str, Any]) -> str:
    counts = result.counts
    text = _("Read %(read)d documents: %(facts)s; %(records)d records written.")
    if options["dry_run"]:
        text = _(
            "Dry run, nothing written. Read %(read)d documents: %(facts)s; %(records)d records to write."
        )
    lines = [text % {"read": counts.read, "facts": _facts(counts), "records": counts.records}]
    lines += [_("  skipped, %(reason)s: %(count)d") % _named(one) for one in counts.skipped.items()]
    lines += [_("  unreadable, %(reason)s: %(count)d") % _named(one) for one in counts.unreadable.items()]
    lines += [f"    {printable(one['id'])}: {printable(one['reason'])}" for one in counts.listed]
    if not counts.is_balanced:
        lines.append(_("The counts do not match: %(count)d records are missing.") % {"count": counts.lost})
    if not result.is_complete:
        missing = result.source_count - counts.read
        lines.append(
            _("The source now has %(count)d more documents. Run the command again.") % {"count": missing}
        )
    if not result.are_caches_notified:
        lines.append(_("Redis did not respond: older figures may be served until the caches expire."))
    return "\n".join(lines)


def _named(counted: tuple[str, int]) -> dict[str, Any]:
    reason, count = counted
    return {"reason": reason, "count": count}


def _facts(counts: ImportCounts) -> str:
    return _("%(imported)d imported, %(kept)d kept, %(skipped)d skipped, %(unreadable)d unreadable") % {
        "imported": counts.imported,
        "kept": counts.kept,
        "skipped": sum(counts.skipped.values()),
        "unreadable": sum(counts.unreadable.values()),
    }
