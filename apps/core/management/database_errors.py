"""Puts errors of the database into words: what MongoDB said, and what to do about it."""

from __future__ import annotations

from django.db.migrations.exceptions import InconsistentMigrationHistory
from django.utils.translation import gettext as _
from pymongo.errors import CollectionInvalid, OperationFailure

from apps.core.management.servers import no_response_message
from apps.core.management.tables import printable
from apps.core.storage.database.schema import CollectionInUseError
from apps.core.storage.outages import is_mongo_outage

_MAX_CHARACTERS = 600
# Error codes of MongoDB.
_NO_RIGHT = frozenset({13, 18})  # Unauthorized, AuthenticationFailed
_INDEX_CONFLICTS = frozenset({85, 86})  # IndexOptionsConflict, IndexKeySpecsConflict
_DUPLICATE_KEY = 11000
# MongoDB answered; their texts name databases, MongoDB collections, indexes and values.
_WITHOUT_ADDRESS = (OperationFailure, CollectionInvalid, CollectionInUseError, InconsistentMigrationHistory)


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
