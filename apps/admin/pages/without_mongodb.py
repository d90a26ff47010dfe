"""What pages show while MongoDB is down.

Permissions are stored in MongoDB. While it is down, a user who saw such a page within the last hour may see
what is known without it: the session, which has a copy in Redis, holds the time of that visit.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import structlog
from django.db.utils import DatabaseError
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from pymongo.errors import PyMongoError

from apps.admin.pages.access import View
from apps.core.storage.clock import unix_now
from apps.core.storage.outages import is_mongo_outage, mongo_outage, redis_outage

logger = structlog.get_logger(__name__)

_VISIT_KEY = "dashboard_seen_at"
_NOTE_VISIT_SECONDS = 300
_VISIT_VALID_SECONDS = 3600


def without_mongodb(outage: View) -> Callable[[View], View]:
    """Decorate a view: while MongoDB is down, ``outage`` responds to a user who was there lately.

    All others get the outage page. ``outage`` must not read the user of the request.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def wrapper(request: HttpRequest, **parameters: Any) -> HttpResponseBase:
            if mongo_outage.is_known and _visited_lately(request):
                return outage(request)
            try:
                return view(request, **parameters)
            except (PyMongoError, DatabaseError) as error:
                if not is_mongo_outage(error):
                    raise
                # Without Redis, reading the session would ask MongoDB again.
                if redis_outage.is_known or not _visited_lately(request):
                    raise
                logger.warning("dashboard_without_mongodb", error=type(error).__name__)
                return outage(request)

        return wrapper

    return decorate


def note_visit(request: HttpRequest) -> None:
    """Remember that the user saw such a page with the permission that it needs."""
    visited_at = request.session.get(_VISIT_KEY)
    if not isinstance(visited_at, float) or unix_now() - visited_at > _NOTE_VISIT_SECONDS:
        request.session[_VISIT_KEY] = unix_now()


def _visited_lately(request: HttpRequest) -> bool:
    try:
        visited_at = request.session.get(_VISIT_KEY)
    except (PyMongoError, DatabaseError):  # no copy of the session in Redis
        return False
    return isinstance(visited_at, float) and unix_now() - visited_at < _VISIT_VALID_SECONDS
