"""`manage.py backup`: copy the whole database into one file, while the product runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from apps.core.errors import InvalidInput
from apps.core.management.base import CollectorCommand, ExitCode
from apps.core.management.output_files import written_beside
from apps.core.storage.archive import refused
from apps.core.storage.backup import count_documents, write_backup


class Command(CollectorCommand):
    """Writes the file; one that exists is never overwritten."""

    help = gettext_noop(
        "Write the whole MongoDB database, as of one instant, into a compressed file, while the product "
        "runs. The file contains password hashes; only its owner can read it."
    )
    examples = ("backup /backups/collector.backup",)
    argument_errors = (InvalidInput,)
    checks_database = False  # a database that must be moved first can be backed up, too
    operation_timeout_seconds = 24 * 3600

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the file."""
        parser.add_argument("file", metavar="FILE", help=_("the file to write; it must not exist"))
        super().add_arguments(parser)

    def run(self, **options: Any) -> tuple[Mapping[str, Any], str, ExitCode]:
        """Write the file, and return the counts."""
        path = Path(options["file"])
        _refuse_existing(path)
        total = count_documents()
        with (
            self.progress(_("Backup"), options) as display,
            written_beside(path, is_private=True) as file,
        ):
            backup, checksum = write_backup(
                file, on_progress=lambda count: display.show(done=count, total=max(total, count), facts="")
            )
            _refuse_existing(path)  # another backup may have taken the name in the meantime
        size = path.stat().st_size
        result = {
            "file": str(path),
            "bytes": size,
            "documents": backup.documents,
            "collections": backup.collections,
            "version": backup.version,
            "sha256": checksum,
        }
        text = _("%(documents)s documents of %(collections)d MongoDB collections, %(bytes)s bytes.") % {
            "documents": f"{backup.documents:,}",
            "collections": backup.collections,
            "bytes": f"{size:,}",
        }
        return result, text, ExitCode.DONE


def _refuse_existing(path: Path) -> None:
    """Refuse a file that exists.

    :raises InvalidInput: then.
    """
    if path.exists():
        raise refused(_("%(path)s exists already.") % {"path": path})
