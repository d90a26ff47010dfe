"""Checks, before a command begins, that the servers it needs respond, and puts their errors into words."""

from __future__ import annotations

from django.core.management.base import CommandError
from django.db.migrations.exceptions import InconsistentMigrationHistory
from django.db.utils import DatabaseError
from django.utils.translation import gettext as _
from pymongo.errors import CollectionInvalid, OperationFailure, PyMongoError
from redis import RedisError

from apps.core.management.tables import printable
from apps.core.storage import mongo
from apps.core.storage.database.schema import CollectionInUseError
from apps.core.storage.outages import is_mongo_outage
from apps.core.storage.redis import get_redis

_MAX_CHARACTERS = 600
# Error codes of MongoDB.
_NO_RIGHT = frozenset({13, 18})  # Unauthorized, AuthenticationFailed
_INDEX_CONFLICTS = frozenset({85, 86})  # IndexOptionsConflict, IndexKeySpecsConflict
_DUPLICATE_KEY = 11000
# MongoDB answered; their texts name databases, MongoDB collections, indexes and values.
_WITHOUT_ADDRESS = (OperationFailure, CollectionInvalid, CollectionInUseError, InconsistentMigrationHistory)


def no_response_message(error: BaseException) -> str:
    """Return the message for an outage; it leaves out the error's text, which may contain a password."""
    return _("MongoDB or Redis does not respond (%(error)s).") % {"error": type(error).__name__}


def error_text(error: BaseException) -> str:
    """Return what failed. The texts of other errors are left out, because they may contain a password."""
    cause = _cause_of(error)
    if is_mongo_outage(error) or not isinstance(cause, _WITHOUT_ADDRESS):
        return no_response_message(cause)
    text = str(cause)
    if isinstance(cause, OperationFailure):
        details = cause.details or {}
        text = f"{details.get('codeName', type(cause).__name__)}: {details.get('errmsg', text)}"
    return printable(text)[:_MAX_CHARACTERS]


def advice_for(error: BaseException) -> str:
    """Return what to do about an error of the database."""
    cause = _cause_of(error)
    code = cause.code if isinstance(cause, OperationFailure) else None
    if is_mongo_outage(error):
        return _("Wait until MongoDB responds.")
    if code in _NO_RIGHT:
        return _("Give the user of MONGO_URI the role readWrite on the database MONGO_DB.")
    if code in _INDEX_CONFLICTS:
        return _("Drop the index that MongoDB names, if no other program needs it.")
    if code == _DUPLICATE_KEY:
        return _("Remove the duplicates that MongoDB names.")
    return _("Remove the cause.")


def _cause_of(error: BaseException) -> BaseException:
    """Return the error of the driver: Django's errors that come from it have no text."""
    return error.__cause__ if not str(error) and error.__cause__ is not None else error


def require_mongo() -> None:
    """End the command with one line unless MongoDB answers within the time limit of web requests.

    :raises CommandError: when it does not answer.
    """
    try:
        mongo.ping()
    except (PyMongoError, DatabaseError) as error:
        raise CommandError(error_text(error)) from error


def require_redis() -> None:
    """End the command with one line unless Redis answers.

    :raises CommandError: when it does not answer.
    """
    try:
        get_redis().ping()
    except RedisError as error:
        raise CommandError(no_response_message(error)) from error
