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
from apps.core.management.base import OPERATOR, CollectorCommand, ExitCode, Stopped
from apps.core.management.tables import printable
from apps.core.printable import list_text
from apps.mengla.former import in_place
from apps.mengla.former.import_journal import ImportCounts
from apps.mengla.former.reference_import import DEFAULT_BATCH_SIZE, ImportResult, import_reference_data
from apps.mengla.former.reference_source import ReferenceSource, open_source
from apps.mengla.management.in_place_run import carry_over, show_plan

_DATABASE = "industry_monitor"
_COLLECTION = "mengla_data"
_MAX_BATCH_SIZE = 10_000
_MAX_URI_LENGTH = 5000


class Command(CollectorCommand):
    """Runs the import; after an interruption it goes on where it stopped."""

    help = gettext_noop(
        "Copy the figures of the former program (its MongoDB collection mengla_data) into the records: from "
        "another database with --uri, or within the database of MONGO_DB, which both programs use, with "
        "--in-place. Newer records are not overwritten. To continue an interrupted import, run the command "
        "again."
    )
    examples = (
        "import_reference_data --in-place --dry-run",
        "import_reference_data --uri - --database industry_monitor < address.txt",
    )
    can_dry_run = True
    argument_errors = (InvalidInput,)
    operation_timeout_seconds = None
    checks_database = False  # --in-place is for a database that every other command refuses

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the source, and what to do with it."""
        source = parser.add_mutually_exclusive_group(required=True)
        source.add_argument(
            "--in-place",
            action="store_true",
            help=_(
                "carry over the data of the former program that is in the database of MONGO_DB: rename its "
                "MongoDB collections, apply the migrations, import figures and logs"
            ),
        )
        source.add_argument(
            "--drop-former",
            action="store_true",
            help=_("delete what --in-place has kept of the former program; asks for confirmation"),
        )
        source.add_argument(
            "--uri",
            metavar="URI",
            help=_(
                "mongodb:// address of the source, which is only read; - reads the address from standard "
                "input, so that its password is not visible in the process list"
            ),
        )
        parser.add_argument("--database", metavar="NAME", help=_("with --uri (default: industry_monitor)"))
        parser.add_argument("--collection", metavar="NAME", help=_("with --uri (default: mengla_data)"))
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
        parser.add_argument(
            "--yes", action="store_true", help=_("with --drop-former: do not ask for confirmation")
        )
        super().add_arguments(parser)

    def run(self, **options: Any) -> tuple[Mapping[str, Any], str, ExitCode]:
        """Import the documents and report their outcomes."""
        if options["uri"] is not None:
            return self._import_from_elsewhere(options)
        if options["database"] is not None or options["collection"] is not None:
            message = _("%(names)s can only be used with --uri.")
            raise InvalidInput(message % {"names": "--database, --collection"})
        if options["drop_former"]:
            return self._drop_former(options)
        do = show_plan if options["dry_run"] else carry_over
        result, lines, code = do(
            lambda source: self._import(source, options), lambda result: _reported(result, options)
        )
        return result, "\n".join(lines), code

    def _import_from_elsewhere(self, options: Mapping[str, Any]) -> tuple[Mapping[str, Any], str, ExitCode]:
        self.check_database()
        uri = options["uri"]
        if uri == "-":
            uri = sys.stdin.readline(_MAX_URI_LENGTH).strip()
        database = _DATABASE if options["database"] is None else options["database"]
        collection = _COLLECTION if options["collection"] is None else options["collection"]
        with open_source(uri=uri, database=database, collection=collection) as source:
            return _reported(self._import(source, options), options)

    def _import(self, source: ReferenceSource, options: Mapping[str, Any]) -> ImportResult:
        with self.progress(_("Importing"), options) as display:

            def report(counts: ImportCounts, total: int) -> None:
                display.show(done=counts.read, total=max(total, counts.read), facts=_facts(counts))

            try:
                return import_reference_data(
                    source,
                    batch_size=options["batch_size"],
                    is_dry_run=options["dry_run"],
                    is_restarted=options["restart"],
                    report=report,
                )
            except Stopped:
                display.note(_("Run the command again to continue from here."))
                raise

    def _drop_former(self, options: Mapping[str, Any]) -> tuple[Mapping[str, Any], str, ExitCode]:
        found = in_place.count_former()
        names = list_text(f"{name} ({count})" for name, count in found.items()) or "-"
        result = {"is_dry_run": options["dry_run"], "found": found, "dropped": None}
        if options["dry_run"] or not found:
            return result, _("Nothing was deleted. Found: %(names)s.") % {"names": names}, ExitCode.DONE
        if not options["yes"] and not self._is_confirmed(names):
            return result, _("Nothing was deleted."), ExitCode.FAILED
        dropped = in_place.drop_former(dropped_by=OPERATOR)
        return result | {"dropped": dropped}, _("Deleted: %(names)s.") % {"names": names}, ExitCode.DONE

    def _is_confirmed(self, names: str) -> bool:
        text = _(
            "This deletes these MongoDB collections of the former program: %(names)s. It cannot be undone."
        )
        self.stderr.write(text % {"names": names})
        return self.is_confirmed()


def _reported(result: ImportResult, options: Mapping[str, Any]) -> tuple[dict[str, Any], str, ExitCode]:
    described = _described(result, is_dry_run=options["dry_run"])
    return described, _summary(result, options), _code_of(result)


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
