"""`manage.py restore`: replace the whole database by a backup."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import structlog
from django.core.management.base import CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from django_q.conf import Conf

from apps.core.errors import Conflict, InvalidInput
from apps.core.liveness.processes import count_web_processes, list_clusters
from apps.core.management.arguments import whole_number
from apps.core.management.base import CollectorCommand, ExitCode
from apps.core.management.database_state import database_problem, missing_migrations, not_applied_message
from apps.core.storage.backup import Backup, examine, is_database_empty, refuse_newer, restore_backup
from apps.core.storage.mongo import our_database
from apps.core.storage.redis import KEY_PREFIX, delete_keys
from apps.core.time_texts import instant_text

_POLL_SECONDS = 0.5

audit = structlog.get_logger("collector.audit")


class Command(CollectorCommand):
    """Checks the whole file and that nothing runs before it changes anything."""

    help = gettext_noop(
        "Replace the whole MongoDB database by a backup, and empty Redis of what belongs to this product. "
        "The file is checked first. Stop all processes before."
    )
    examples = ("restore /backups/collector.backup --dry-run", "restore /backups/collector.backup --replace")
    can_dry_run = True
    argument_errors = (InvalidInput,)
    operation_timeout_seconds = 24 * 3600
    checks_database = False  # it is replaced, whatever it is
    _has_told = False

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the file and what may be lost."""
        parser.add_argument("file", metavar="FILE", help=_("a file that `manage.py backup` has written"))
        parser.add_argument(
            "--replace", action="store_true", help=_("delete what the database holds now; asks before")
        )
        parser.add_argument(
            "--wait-seconds",
            type=whole_number(0, 600),
            default=20,
            metavar="N",
            help=_("how long to wait for the end of running processes (default: %(default)s)"),
        )
        self.add_confirmation(parser)
        super().add_arguments(parser)

    def run(self, **options: Any) -> tuple[Mapping[str, Any], str, ExitCode]:
        """Check everything, restore, and return the counts."""
        path = Path(options["file"])
        with self.progress(_("Check"), options) as display:
            backup = examine(path, on_progress=lambda count: display.show(done=count, total=0, facts=""))
        refuse_newer(backup)
        is_empty = is_database_empty()
        result = _described(backup) | {"is_dry_run": options["dry_run"], "is_database_empty": is_empty}
        if options["dry_run"]:
            text = _("Dry run, nothing changed. The file is whole: %(backup)s.")
            return result, text % {"backup": _summary(backup)}, ExitCode.DONE
        self._wait_until_nothing_runs(options["wait_seconds"])
        if not is_empty:
            if not options["replace"]:
                raise Conflict(_("The database is not empty. Add --replace to delete what it holds."))
            question = _("This deletes the whole database %(name)s and restores %(backup)s.")
            self.confirm(question % {"name": our_database().name, "backup": _summary(backup)}, options)
            self._wait_until_nothing_runs(0)  # the reply may have taken long
        with self.progress(_("Restore"), options) as display:
            restore_backup(
                path,
                on_progress=lambda count: display.show(done=count, total=backup.documents, facts=""),
            )
        # Entries, sessions and callers there may be newer than the backup.
        delete_keys(f"{KEY_PREFIX}*", f"django_q:{Conf.PREFIX}:*")
        audit.info("database_restored", documents=backup.documents, version=backup.version)
        missing = missing_migrations()
        text = _("Restored %(backup)s.") % {"backup": _summary(backup)}
        if missing:
            text = f"{text}\n{database_problem() or not_applied_message(len(missing))}"
        return result | {"missing_migrations": len(missing)}, text, ExitCode.DONE

    def _wait_until_nothing_runs(self, seconds: int) -> None:
        """Wait until no process of this installation runs: it would write into the database.

        :raises Conflict: when one still does after these seconds.
        """
        deadline = time.monotonic() + seconds
        while running := _running_processes():
            if time.monotonic() >= deadline:
                message = _("%(web)d web processes and %(clusters)d worker clusters run. Stop them first.")
                raise Conflict(message % running)
            if not self._has_told:
                self._has_told = True
                self.stderr.write(_("Waiting for processes to end; each counts for 15 s more."))
            time.sleep(_POLL_SECONDS)


def _running_processes() -> dict[str, int]:
    """Return the numbers of running processes; empty if there is none."""
    found = {"web": count_web_processes(), "clusters": len(list_clusters())}
    return found if any(found.values()) else {}


def _described(backup: Backup) -> dict[str, Any]:
    return {
        "version": backup.version,
        "made_at": backup.made_at,
        "documents": backup.documents,
        "collections": backup.collections,
    }


def _summary(backup: Backup) -> str:
    return _("a backup of version %(version)s, made at %(instant)s, with %(documents)s documents") % {
        "version": backup.version,
        "instant": instant_text(backup.made_at),
        "documents": f"{backup.documents:,}",
    }
