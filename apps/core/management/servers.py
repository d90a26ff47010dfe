"""Checks, before a command begins, that the servers it needs respond, and puts their errors into words."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.core.management.base import CommandError, OutputWrapper
from django.db.migrations.exceptions import InconsistentMigrationHistory
from django.db.utils import DatabaseError
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.utils.translation import override as translation_override
from pymongo.errors import CollectionInvalid, OperationFailure, PyMongoError
from redis import RedisError

from apps.core.management.tables import printable
from apps.core.printable import sentences_text
from apps.core.storage import mongo
from apps.core.storage.database.schema import CollectionInUseError
from apps.core.storage.outages import is_mongo_outage, is_redis_refusal, is_redis_silent
from apps.core.storage.redis import get_redis

_MAX_CHARACTERS = 600
_LOOK_SECONDS = 5.0
# Error codes of MongoDB.
_NO_RIGHT = frozenset({13, 18})  # Unauthorized, AuthenticationFailed
_INDEX_CONFLICTS = frozenset({85, 86})  # IndexOptionsConflict, IndexKeySpecsConflict
_DUPLICATE_KEY = 11000
# MongoDB answered; their texts name databases, MongoDB collections, indexes and values.
_WITHOUT_ADDRESS = (OperationFailure, CollectionInvalid, CollectionInUseError, InconsistentMigrationHistory)


def no_response_message(error: BaseException) -> str:
    """Return the message for an outage; it leaves out the error's text, which may contain a password."""
    text = _("MongoDB or Redis does not respond (%(error)s).")
    if is_mongo_outage(error):
        text = _("MongoDB does not respond (%(error)s).")
    elif is_redis_silent(error):
        text = _("Redis does not respond (%(error)s).")
    elif is_redis_refusal(error):
        text = _("Redis refuses commands (%(error)s).")
    return text % {"error": type(error).__name__}


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
    return _("Fix the cause of the error.")


def problem_text(error: BaseException) -> str:
    """Return what failed, and what to do about it."""
    return sentences_text((error_text(error), advice_for(error)))


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


@contextmanager
def telling_of_outages(stderr: OutputWrapper) -> Iterator[None]:
    """Say on stderr when MongoDB stops responding within the block, whose operations wait for hours."""
    has_ended = threading.Event()

    def look() -> None:
        is_reported = False
        while not has_ended.wait(_LOOK_SECONDS):
            try:
                mongo.ping()
                is_reported = False
            except (PyMongoError, DatabaseError):
                if not is_reported and not has_ended.is_set():
                    stderr.write(_("MongoDB does not respond. Waiting for it; Ctrl-C stops the command."))
                is_reported = True

    language = get_language() or settings.LANGUAGE_CODE
    thread = threading.Thread(target=translation_override(language)(look), name="outages", daemon=True)
    thread.start()
    try:
        yield
    finally:
        has_ended.set()


def require_redis() -> None:
    """End the command with one line unless Redis answers.

    :raises CommandError: when it does not answer.
    """
    try:
        get_redis().ping()
    except RedisError as error:
        raise CommandError(no_response_message(error)) from error
