"""Whether the database may be used: it belongs to this product, and all migrations are applied.

Each command asks before it touches anything. An app that can recognise a database that must not be used, or
not yet, registers a check.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError
from django.db import connection
from django.db.models import ManyToManyField
from django.db.utils import DatabaseError
from django.utils.translation import gettext as _
from pymongo.errors import PyMongoError

from apps.core.management.servers import problem_text
from apps.core.management.tables import printable
from apps.core.printable import list_text
from apps.core.storage import mongo
from apps.core.storage.outages import is_mongo_outage

if TYPE_CHECKING:
    from django.db.migrations import Migration
    from pymongo.database import Database

DatabaseCheck = Callable[[], str | None]
_checks: list[DatabaseCheck] = []


def register_database_check(check: DatabaseCheck) -> None:
    """Add a check; it returns why the database must not be used and what to do, None if it may be used."""
    _checks.append(check)


def database_problem() -> str | None:
    """Return why the database must not be used, None if it may be used; reads a few documents."""
    return next((problem for check in _checks if (problem := check())), None)


def require_usable_database() -> None:
    """End the command with one message if the database must not be used.

    :raises CommandError: then; nothing was changed.
    """
    with _errors_as_messages():
        problem = database_problem()
    if problem:
        raise CommandError(problem)


def require_migrations() -> None:
    """End the command with one message unless the database may be used and all migrations are applied.

    :raises CommandError: otherwise; nothing was changed.
    """
    require_usable_database()
    with _errors_as_messages():
        missing = missing_migrations()
    if missing:
        raise CommandError(not_applied_message(len(missing)))


def require_migrations_if_responding() -> None:
    """Do the same, but return without a check while MongoDB does not respond.

    For the web server: in an outage it starts, and serves what the caches hold.

    :raises CommandError: as :func:`require_migrations` does.
    """
    try:
        mongo.ping()
    except (PyMongoError, DatabaseError) as error:
        if is_mongo_outage(error):
            return
        raise CommandError(problem_text(error)) from error
    require_migrations()


def missing_migrations() -> list[Migration]:
    """Return the migrations that are not applied, in their order."""
    from django.db.migrations.executor import MigrationExecutor  # most commands do not need it

    executor = MigrationExecutor(connection)
    return [migration for migration, _back in executor.migration_plan(executor.loader.graph.leaf_nodes())]


def not_applied_message(count: int) -> str:
    """Return the message for a database with this number of migrations that are not applied."""
    return _("%(count)d migrations are not applied. Run: python manage.py migrate") % {"count": count}


def foreign_collections() -> list[str]:
    """Return the MongoDB collections of another program whose names our migrations need, sorted.

    A missing migration would create one of this name, and it holds documents.
    """
    database, found = _found_under_our_names({"type": {"$ne": "view"}})
    return sorted(name for name in found if database[name].find_one({}, {"_id": 1}) is not None)


def refuse_views() -> None:
    """Refuse a database in which a view has a name that our migrations need: views cannot be renamed.

    :raises CommandError: then; nothing was changed.
    """
    _database, found = _found_under_our_names({"type": "view"})
    if found:
        message = _("These views have names that MongoDB collections need: %(names)s. Drop them.")
        raise CommandError(message % {"names": list_text(map(printable, sorted(found)))})


def _found_under_our_names(kinds: dict[str, Any]) -> tuple[Database[dict[str, Any]], list[str]]:
    """Return the database, and what has a name in it that a missing migration needs."""
    wanted = set().union(*(_created_by(migration) for migration in missing_migrations()))
    database = mongo.named_collection("django_migrations").database
    return database, database.list_collection_names(filter=kinds | {"name": {"$in": sorted(wanted)}})


@contextmanager
def _errors_as_messages() -> Iterator[None]:
    try:
        yield
    except (PyMongoError, DatabaseError) as error:
        raise CommandError(problem_text(error)) from error


def _created_by(migration: Migration) -> set[str]:
    from django.db.migrations.operations import CreateModel, SeparateDatabaseAndState

    names = set()
    operations = list(migration.operations)
    while operations:
        operation = operations.pop()
        if isinstance(operation, SeparateDatabaseAndState):
            operations += operation.database_operations
            if operation.database_operations:
                operations += operation.state_operations  # created by hand, under the name in the state
        elif isinstance(operation, CreateModel):
            default = f"{migration.app_label}_{operation.name_lower}"
            table = operation.options.get("db_table") or default
            names |= {table, *_many_to_many_tables(table, operation.fields)}
    return names


def _many_to_many_tables(table: str, fields: Iterable[tuple[str, Any]]) -> Iterator[str]:
    for name, field in fields:
        if isinstance(field, ManyToManyField) and field.remote_field.through is None:
            yield getattr(field, "db_table", None) or f"{table}_{name}"
