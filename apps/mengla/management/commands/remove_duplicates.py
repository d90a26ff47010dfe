"""`manage.py remove_duplicates`: delete duplicates, the documents with the figures of the same query."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from apps.core.errors import NotFound
from apps.core.management.base import CollectorCommand, ExitCode
from apps.core.management.tables import format_table
from apps.mengla.former.duplicates import MAX_EXAMPLES, DuplicateReport, remove_duplicates

_REQUESTED_BY = "manage.py"
_MAX_NAME_LENGTH = 120
_KEY = ("action", "cat_id", "granularity", "period_key", "kept", "duplicate")


class Command(CollectorCommand):
    """Finds duplicates, and deletes them with ``--apply``."""

    help = gettext_noop(
        "Find duplicate documents of the same query; delete them with --apply. Keeps a "
        "document with figures; among several, the newest; among the records, the one that reads return. Can "
        "be run at any time, and repeatedly."
    )
    argument_errors = (NotFound,)
    operation_timeout_seconds = 24 * 3600

    def add_arguments(self, parser: CommandParser) -> None:
        """Add ``--apply`` and the MongoDB collection."""
        parser.add_argument(
            "--apply", action="store_true", help=_("delete the duplicates; without it they are only counted")
        )
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
        """Find the duplicates, delete them with ``--apply``, and report them."""
        with self.progress(_("Duplicates"), options) as display:
            report = remove_duplicates(
                is_applied=options["apply"],
                requested_by=_REQUESTED_BY,
                collection_name=options["collection"],
                on_progress=lambda found: display.show(done=found, total=0, facts=""),
            )
        code = ExitCode.PARTLY_FAILED if report.left_alone else ExitCode.DONE
        return _described(report), _summary(report), code


def _described(report: DuplicateReport) -> dict[str, Any]:
    examples = [
        {
            "action": one["action"],
            "catId": one["cat_id"],
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


def _summary(report: DuplicateReport) -> str:
    facts = {
        "collection": report.collection,
        "duplicates": report.duplicates,
        "groups": report.groups,
        "deleted": report.deleted,
    }
    if not report.is_applied:
        text = _("Dry run, nothing deleted. %(collection)s: %(duplicates)d duplicates in %(groups)d groups.")
        lines = [text % facts]
        if report.duplicates:
            lines.append(_("Delete them with --apply."))
    else:
        text = _("%(collection)s: %(deleted)d of %(duplicates)d duplicates in %(groups)d groups deleted.")
        lines = [text % facts]
    if report.left_alone:
        text = _("%(count)d documents changed meanwhile and were not deleted. Run the command again.")
        lines.append(text % {"count": report.left_alone})
    if report.examples:
        rows = [[example[name] for name in _KEY] for example in report.examples]
        lines += ["", format_table([name.upper() for name in _KEY], rows)]
    if report.groups > MAX_EXAMPLES:
        lines.append(_("... and %(count)d more groups.") % {"count": report.groups - MAX_EXAMPLES})
    return "\n".join(lines)


def _collection_name(text: str) -> str:
    is_name = 0 < len(text) <= _MAX_NAME_LENGTH and text.isprintable() and "$" not in text
    if not is_name or text.startswith("system."):
        raise argparse.ArgumentTypeError(_("invalid name of a MongoDB collection"))
    return text
