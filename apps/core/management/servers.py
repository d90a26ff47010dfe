"""The servers a command cannot do without, asked before it begins."""

from __future__ import annotations

from django.core.management.base import CommandError
from django.db.utils import DatabaseError
from django.utils.translation import gettext as _
from pymongo.errors import PyMongoError
from redis import RedisError

from apps.core.storage import mongo
from apps.core.storage.redis import get_redis


def no_response_message(error: BaseException) -> str:
    """Say that a server does not answer; the error's own text may hold an address with a password."""
    return _("MongoDB or Redis does not answer (%(error)s).") % {"error": type(error).__name__}


def require_mongo() -> None:
    """End the command with one line unless MongoDB gives a sign of life in the time of a web request.

    :raises CommandError: when it gives none.
    """
    try:
        mongo.ping()
    except (PyMongoError, DatabaseError) as error:
        raise CommandError(no_response_message(error)) from error


def require_redis() -> None:
    """End the command with one line unless Redis gives a sign of life.

    :raises CommandError: when it gives none.
    """
    try:
        get_redis().ping()
    except RedisError as error:
        raise CommandError(no_response_message(error)) from error
