"""Imports the category tree from a file."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from apps.categories import tree_file
from apps.categories.services import import_categories
from apps.core.management.base import CollectorCommand, ExitCode


class Command(CollectorCommand):
    """Makes the stored category tree equal to a file; run again, it completes an interrupted import."""

    can_dry_run = True
    examples = ("import_categories categories.json --dry-run", "import_categories - < categories.json")
    help = gettext_noop("Import the category tree from a JSON file. An invalid file changes nothing.")

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the file and ``--dry-run``."""
        super().add_arguments(parser)
        parser.add_argument("file", metavar="FILE", help=_("the JSON file, or - for standard input"))

    def run(self, **options: Any) -> tuple[Mapping[str, Any], str, ExitCode]:
        """Run the import and return what it did."""
        is_dry_run: bool = options["dry_run"]
        result = import_categories(nodes=_read(options["file"]), is_dry_run=is_dry_run)
        counts = dataclasses.asdict(result)
        if not counts.pop("are_caches_cleared"):
            self.stderr.write(
                _(
                    "Redis does not respond: other processes may serve the previous tree for up to a minute. "
                    "Run the import again to clear their caches."
                )
            )
        summary = ", ".join(f"{name} {count}" for name, count in counts.items())
        if is_dry_run:
            summary = _("Dry run, nothing written: %(summary)s") % {"summary": summary}
        return {**counts, "is_dry_run": is_dry_run}, summary, ExitCode.DONE


def _read(name: str) -> Any:
    if name == "-":
        return tree_file.parse_json(tree_file.read_stream(sys.stdin.buffer, name="standard input"))
    path = Path(name)
    if not _is_there(path):
        raise CommandError(
            _("There is no file %(name)r.") % {"name": name}, returncode=ExitCode.BAD_ARGUMENTS
        )
    return tree_file.read_tree(path)


def _is_there(path: Path) -> bool:
    try:
        return path.exists() and not path.is_dir()
    except OSError:  # the file system does not accept this name
        return False
