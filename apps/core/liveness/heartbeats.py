"""Signs of life of the worker clusters, written by the tasks they run.

Kept in MongoDB, one document per host: a worker that cannot reach MongoDB does no work either.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.db.utils import DatabaseError
from django.utils.translation import gettext as _
from pymongo import DESCENDING
from pymongo.errors import PyMongoError

from apps.core.storage.mongo import named_collection, utc_now

logger = structlog.get_logger(__name__)

# Three ticks of a minute: one may be lost, and one may wait in the queue behind long tasks.
STALE_AFTER_SECONDS = 180
_HEARTBEATS = "core_heartbeats"
_FORGOTTEN_AFTER = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The last sign of life of the workers of one host; ``beat_at`` is UTC without zone."""

    host: str
    beat_at: datetime
    age_seconds: float

    @property
    def is_stale(self) -> bool:
        """Whether these workers have been silent for too long."""
        return self.age_seconds > STALE_AFTER_SECONDS


def note_heartbeat() -> bool:
    """Note that a worker of this host lives; False when MongoDB does not take it."""
    now = utc_now()
    try:
        heartbeats = named_collection(_HEARTBEATS)
        heartbeats.update_one({"_id": socket.gethostname()}, {"$set": {"beat_at": now}}, upsert=True)
        heartbeats.delete_many({"beat_at": {"$lt": now - _FORGOTTEN_AFTER}})
    except (PyMongoError, DatabaseError) as error:
        logger.warning("heartbeat_not_noted", error=type(error).__name__)
        return False
    return True


def list_heartbeats() -> list[Heartbeat]:
    """Return the last sign of life of every host of the last days, the newest first."""
    now = utc_now()
    found = named_collection(_HEARTBEATS).find().sort("beat_at", DESCENDING)
    return [
        # Clocks of hosts are a little apart.
        Heartbeat(one["_id"], one["beat_at"], max(0.0, round((now - one["beat_at"]).total_seconds(), 1)))
        for one in found
    ]


def worker_problem() -> str | None:
    """Return why no worker can be expected to work, None when one has shown a sign of life lately."""
    newest = next(iter(list_heartbeats()), None)
    if newest is None:
        return _("No worker has ever reported.")
    if newest.is_stale:
        return _("No worker has reported for %(seconds).0f s.") % {"seconds": newest.age_seconds}
    return None
