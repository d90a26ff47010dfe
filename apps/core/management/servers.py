"""Checks, before a command begins, that the servers it needs respond."""

from __future__ import annotations

from django.core.management.base import CommandError
from django.db.utils import DatabaseError
from django.utils.translation import gettext as _
from pymongo.errors import PyMongoError
from redis import RedisError

from apps.core.storage import mongo
from apps.core.storage.redis import get_redis


def no_response_message(error: BaseException) -> str:
    """Return the message for an outage; it leaves out the error's text, which may contain a password."""
    return _("MongoDB or Redis does not respond (%(error)s).") % {"error": type(error).__name__}


def require_mongo() -> None:
    """End the command with one line unless MongoDB answers within the time limit of web requests.

    :raises CommandError: when it does not answer.
    """
    try:
        mongo.ping()
    except (PyMongoError, DatabaseError) as error:
        raise CommandError(no_response_message(error)) from error


def require_redis() -> None:
    """End the command with one line unless Redis answers.

    :raises CommandError: when it does not answer.
    """
    try:
        get_redis().ping()
    except RedisError as error:
        raise CommandError(no_response_message(error)) from error
