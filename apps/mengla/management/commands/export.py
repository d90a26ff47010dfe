"""`manage.py export`: write the stored figures of many categories and periods into one file."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from shutil import copyfileobj
from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from apps.core.errors import DomainError, InvalidInput
from apps.core.management.arguments import one_of
from apps.core.management.base import CollectorCommand, ExitCode
from apps.core.management.json_output import write_line
from apps.core.management.output_files import STANDARD_OUTPUT, written_beside
from apps.core.management.progress import Display
from apps.mengla.choices import Action
from apps.mengla.export.query import ExportFormat, build_export_query
from apps.mengla.export.summary import PeriodList, Summary
from apps.mengla.export.table import ExportTable
from apps.mengla.export.writers import check_format, write_export
from apps.mengla.management.arguments import add_categories, add_range, read_categories

_SEEKING = frozenset({ExportFormat.XLSX, ExportFormat.PARQUET})
_MAX_NAMED = 2000  # characters of the missing periods


class Command(CollectorCommand):
    """Writes the file, and what is missing on stderr."""

    help = gettext_noop(
        "Write the stored figures of many categories and periods into one file. Missing data is not "
        "collected, but named on stderr."
    )
    examples = (
        "export --action hot --from 2025-01 --to 2025-12 --output hot.parquet",
        "export --action industryTrendRange --category 4200 all --from 2025-01 --to 2025-06 --format csv",
    )
    argument_errors = (InvalidInput,)
    _has_written_to_stdout = False

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the data set, the selection, and where to write which format."""
        parser.add_argument(
            "--action",
            required=True,
            type=one_of(lambda: list(Action.values)),
            metavar="A",
            help=_("data set: %(names)s") % {"names": ", ".join(Action.values)},
        )
        add_categories(parser)
        add_range(parser)
        parser.add_argument(
            "--format",
            dest="form",
            type=one_of(lambda: [form.value for form in ExportFormat]),
            metavar="F",
            help=_("%(names)s (default: the ending of the file, otherwise ndjson)")
            % {"names": ", ".join(ExportFormat)},
        )
        parser.add_argument(
            "--output",
            default=STANDARD_OUTPUT,
            metavar="FILE",
            help=_("the file to write or replace (default: standard output)"),
        )
        parser.add_argument(
            "--strict", action="store_true", help=_("exit with 1 when a period of a category is missing")
        )
        super().add_arguments(parser)

    def run(self, **options: Any) -> tuple[Mapping[str, Any], str, ExitCode]:
        """Write the file, tell what is missing, and return the counts."""
        output: str = options["output"]
        form = _format_of(options["form"], output)
        check_format(form)
        query = build_export_query(
            action=Action(options["action"]),
            cat_ids=read_categories(options) or None,
            granularity=options["granularity"],
            start=options["range_start"],
            end=options["range_end"],
            field="category",
        )
        if output == STANDARD_OUTPUT:
            _check_stdout(form, is_json=options["is_json"])
        ExportTable(query).check_size()
        total = len(query.cat_ids) * len(query.periods)
        with self.progress(_("Export"), options) as display:
            table = ExportTable(query, told=lambda summary: _show(display, summary, total))
            if output == STANDARD_OUTPUT:
                self._write_to_stdout(table, form)
            else:
                with written_beside(Path(output)) as file:
                    write_export(table, form, file)
        summary = table.summary
        self._tell(_("Missing"), summary.missing)
        self._tell(_("Empty"), summary.empty)
        self._tell(_("Provisional"), summary.provisional)
        is_complete = not (options["strict"] and summary.missing.count)
        code = ExitCode.DONE if is_complete else ExitCode.FAILED
        text = ngettext(
            "%(rows)s row of %(records)s records.", "%(rows)s rows of %(records)s records.", summary.rows
        ) % {"rows": f"{summary.rows:,}", "records": f"{summary.records:,}"}
        return {"output": output, "format": form.value, **summary.to_json()}, text, code

    def _write_to_stdout(self, table: ExportTable, form: ExportFormat) -> None:
        self._has_written_to_stdout = True
        out = sys.stdout.buffer
        try:
            if form not in _SEEKING:
                write_export(table, form, out)
            else:
                with tempfile.TemporaryFile() as file:
                    write_export(table, form, file)
                    file.seek(0)
                    copyfileobj(file, out)
            out.flush()
        except OSError as error:
            with suppress(OSError):  # Python must not fail when it flushes at exit
                os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
            message = _("The result could not be written (%(error)s).") % {"error": error.strerror}
            raise DomainError(message) from error

    def _tell(self, title: str, periods: PeriodList) -> None:
        if periods.count:
            text = periods.text(max_length=_MAX_NAMED)
            self.stderr.write(f"{title}: {periods.count:,} ({text})")

    def _print(self, text: str) -> OSError | None:
        """Print the result; beside the file, if that is on stdout."""
        return write_line(self.stderr, text) if self._has_written_to_stdout else super()._print(text)


def _show(display: Display, summary: Summary, total: int) -> None:
    """Show how far the export is: by what is read, for an XLSX file is written at the end."""
    facts = _("%(rows)s rows") % {"rows": f"{summary.rows:,}"}
    display.show(done=summary.records + summary.missing.count, total=total, facts=facts)


def _check_stdout(form: ExportFormat, *, is_json: bool) -> None:
    """Refuse to write the file to standard output where it does not belong."""
    if is_json:
        raise _refused("output", _("With --json the result is on stdout: name a file with --output."))
    if not hasattr(sys.stdout, "buffer"):
        raise _refused("output", _("Standard output takes no bytes: name a file with --output."))
    if form in _SEEKING and sys.stdout.isatty():
        raise _refused("output", _("This format is not for a terminal: name a file with --output."))


def _format_of(given: str | None, output: str) -> ExportFormat:
    ending = Path(output).suffix.removeprefix(".").lower()
    return ExportFormat(given or (ending if ending in list(ExportFormat) else ExportFormat.NDJSON))


def _refused(name: str, message: str) -> InvalidInput:
    return InvalidInput(message, fields={name: [message]})
