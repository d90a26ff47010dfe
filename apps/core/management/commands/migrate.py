"""Django's `migrate`: with a time limit that is long enough to build an index, and errors as one message."""

from __future__ import annotations

from typing import Any

import pymongo
from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db.migrations import Migration
from django.db.migrations.exceptions import InconsistentMigrationHistory
from django.db.utils import DatabaseError
from django.utils.translation import gettext as _
from pymongo.errors import PyMongoError

from apps.core.management.database_state import (
    foreign_collections,
    refuse_views,
    require_usable_database,
)
from apps.core.management.servers import advice_for, error_text, require_mongo, telling_of_outages
from apps.core.management.tables import printable
from apps.core.printable import list_text

_OPERATION_TIMEOUT_SECONDS = 24 * 3600
_THIS_COMMAND = "python manage.py migrate"


class Command(migrate.Command):
    """Runs each database operation under a longer limit than that of web requests."""

    # The command that calls this one, has checked the database, and is the one to repeat after an error.
    stealth_options = ("called_by",)

    def handle(self, *args: Any, **options: Any) -> None:
        """Check that MongoDB answers and the database is this product's, then run Django's command.

        Without the first check, PyMongo would search for MongoDB until the longer limit ends.

        :raises CommandError: when MongoDB does not respond, when the database holds data of other
            programs, and when a migration fails.
        """
        require_mongo()
        self._applied: list[str] = []
        self._current = ""
        self._command = options.pop("called_by", "")
        try:
            if not self._command:
                require_usable_database()
            _refuse_foreign_collections()
            with telling_of_outages(self.stderr), pymongo.timeout(_OPERATION_TIMEOUT_SECONDS):
                super().handle(*args, **options)
        except (PyMongoError, DatabaseError, InconsistentMigrationHistory) as error:
            raise CommandError(self._described(error)) from error

    def migration_progress_callback(
        self, action: str, migration: Migration | None = None, fake: bool = False
    ) -> None:
        """Note which migration is being applied, and show Django's progress."""
        if action == "apply_start":
            self._current = str(migration)
        elif action == "apply_success":
            self._applied.append(self._current)
            self._current = ""
        super().migration_progress_callback(action, migration, fake)

    def _described(self, error: Exception) -> str:
        """Return what was done, what failed and what to do."""
        facts = {
            "migration": self._current,
            "reason": error_text(error),
            "count": len(self._applied),
            "advice": advice_for(error),
            "command": self._command or _THIS_COMMAND,
        }
        failed = _("The migration %(migration)s failed: %(reason)s") if self._current else "%(reason)s"
        done = _("%(count)d migrations were applied before and remain applied.")
        return "\n".join((failed, done, _("%(advice)s Then run again: %(command)s"))) % facts


def _refuse_foreign_collections() -> None:
    """Refuse a database in which another program uses a name of this product, before anything is changed.

    :raises CommandError: then.
    """
    refuse_views()
    if names := foreign_collections():
        message = _(
            "These MongoDB collections exist already, and hold documents of another program: %(names)s. "
            "Nothing was changed. Rename them, or set MONGO_DB to another database."
        )
        raise CommandError(message % {"names": list_text(printable(name) for name in names)})
