"""`manage.py remove_duplicates`: delete duplicates, the documents with the figures of the same query."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from apps.categories.selectors import CategoryNames
from apps.core.errors import NotFound
from apps.core.management.base import OPERATOR, CollectorCommand, ExitCode
from apps.core.management.tables import format_table
from apps.mengla.former.duplicates import MAX_EXAMPLES, DuplicateReport, remove_duplicates
from apps.mengla.management.arguments import category_text

_MAX_NAME_LENGTH = 120
_KEY = ("action", "cat_id", "granularity", "period_key", "kept", "duplicate")


class Command(CollectorCommand):
    """Finds duplicates, asks, and deletes them."""

    help = gettext_noop(
        "Delete duplicates: documents with the figures of the same query. Asks for confirmation, unless "
        "--yes. Keeps a document with figures; among several, the newest; among the records, the one that "
        "reads return. Can be run at any time, and repeatedly."
    )
    examples = ("remove_duplicates --dry-run", "remove_duplicates --collection industry_data --yes")
    argument_errors = (NotFound,)
    operation_timeout_seconds = 24 * 3600

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the MongoDB collection, ``--dry-run`` and ``--yes``."""
        kinds = parser.add_mutually_exclusive_group()
        self.add_dry_run(kinds)
        self.add_confirmation(kinds)
        kinds.add_argument("--apply", action="store_true", help=argparse.SUPPRESS)  # the name of --yes before
        parser.add_argument(
            "--collection",
            type=_collection_name,
            metavar="NAME",
            help=_(
                "MongoDB collection of this database, such as one of the former program "
                "(default: the records)"
            ),
        )
        super().add_arguments(parser)

    def run(self, **options: Any) -> tuple[Mapping[str, Any], str, ExitCode]:
        """Find the duplicates, ask, delete them, and report them."""
        if options["apply"]:
            self.stderr.write(_("--apply is now called --yes; it will be removed in a later version."))
            options["yes"] = True
        report = self._remove(options, is_applied=options["yes"])
        if report.duplicates and not (options["dry_run"] or options["yes"]):
            question = _(
                "This deletes %(duplicates)d duplicates in %(groups)d groups of %(collection)s. It cannot be "
                "undone."
            )
            self.confirm(question % dataclasses.asdict(report), options)
            report = self._remove(options, is_applied=True)
        code = ExitCode.PARTLY_FAILED if report.left_alone else ExitCode.DONE
        result = _described(report) | {"is_dry_run": options["dry_run"]}
        return result, _summary(report, is_dry_run=options["dry_run"]), code

    def _remove(self, options: Mapping[str, Any], *, is_applied: bool) -> DuplicateReport:
        with self.progress(_("Duplicates"), options) as display:
            return remove_duplicates(
                is_applied=is_applied,
                requested_by=OPERATOR,
                collection_name=options["collection"],
                on_progress=lambda found: display.show(done=found, total=0, facts=""),
            )


def _described(report: DuplicateReport) -> dict[str, Any]:
    names = CategoryNames(str(one["cat_id"]) for one in report.examples)
    examples = [
        {
            "action": one["action"],
            "catId": one["cat_id"],
            "category_name": names.own(str(one["cat_id"])) or None,
            "dateType": one["granularity"],
            "period": one["period_key"],
            "kept": one["kept"],
            "duplicate": one["duplicate"],
        }
        for one in report.examples
    ]
    return {
        "collection": report.collection,
        "applied": report.is_applied,
        "groups": report.groups,
        "duplicates": report.duplicates,
        "deleted": report.deleted,
        "left_alone": report.left_alone,
        "examples": examples,
    }


def _summary(report: DuplicateReport, *, is_dry_run: bool) -> str:
    facts = {
        "collection": report.collection,
        "duplicates": report.duplicates,
        "groups": report.groups,
        "deleted": report.deleted,
    }
    if is_dry_run:
        text = _("Dry run, nothing deleted. %(collection)s: %(duplicates)d duplicates in %(groups)d groups.")
        lines = [text % facts]
        if report.duplicates:
            lines.append(_("Run the command without --dry-run to delete them."))
    else:
        text = _("%(collection)s: %(deleted)d of %(duplicates)d duplicates in %(groups)d groups deleted.")
        lines = [text % facts]
    if report.left_alone:
        text = _("%(count)d documents changed meanwhile and were not deleted. Run the command again.")
        lines.append(text % {"count": report.left_alone})
    if report.examples:
        names = CategoryNames(str(one["cat_id"]) for one in report.examples)
        rows = [
            [category_text(str(one[name]), names) if name == "cat_id" else one[name] for name in _KEY]
            for one in report.examples
        ]
        lines += ["", format_table([name.upper() for name in _KEY], rows)]
    if report.groups > MAX_EXAMPLES:
        lines.append(_("... and %(count)d more groups.") % {"count": report.groups - MAX_EXAMPLES})
    return "\n".join(lines)


def _collection_name(text: str) -> str:
    is_name = 0 < len(text) <= _MAX_NAME_LENGTH and text.isprintable() and "$" not in text
    if not is_name or text.startswith("system."):
        raise argparse.ArgumentTypeError(_("invalid name of a MongoDB collection"))
    return text
