"""Ends the claims of dispatchers that were killed, or lost MongoDB, before the service had confirmed them.

Such a claim would hold its slot until its lease expires: by default the only slot, for 45 seconds. An
unconfirmed claim is abandoned if no process holds the dispatch lease, or if its holder has just acquired it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import structlog
from django.conf import settings

from apps.core.storage.mongo import collection_of, utc_now
from apps.core.time_texts import seconds_between
from apps.mengla.choices import CollectionError, CollectionStatus
from apps.mengla.models import Collection
from apps.mengla.queue import jobs
from apps.mengla.words import NOT_ACCEPTED

logger = structlog.get_logger(__name__)

# About as long as the dispatch lease outlives its holder. A younger claim may be of a dispatcher that works.
_OLD_SECONDS = 5.0


def has_claims() -> bool:
    """Whether there is an unconfirmed claim; call this only while no process holds the dispatch lease."""
    return collection_of(Collection).find_one(_unconfirmed(), {"_id": 1}) is not None


def end_claims() -> int:
    """End the unconfirmed claims of earlier dispatchers; returns how many. For the dispatch lease's holder.

    The service may have received the request, so it counts as an attempt. The dispatcher may be alive and
    have lost only its lease. So the next attempt waits until the request would have timed out.
    """
    now = utc_now()
    ended = 0
    for claim in collection_of(Collection).find(_unconfirmed(), {"attempt_token": 1, "dispatched_at": 1}):
        age_seconds = seconds_between(claim["dispatched_at"], now)
        status = jobs.fail_attempt(
            claim["_id"],
            attempt_token=claim["attempt_token"],
            error=CollectionError.TIMEOUT,
            message=NOT_ACCEPTED(),
            retry_after_seconds=settings.COLLECT_REQUEST_TIMEOUT_SECONDS - age_seconds,
        )
        if status is not None:
            logger.warning("claim_abandoned", collection_id=str(claim["_id"]), new_status=status.value)
            ended += 1
    return ended


def _unconfirmed() -> dict[str, Any]:
    return {
        "status": CollectionStatus.DISPATCHED.value,
        "execution_id": "",
        "dispatched_at": {"$lt": utc_now() - timedelta(seconds=_OLD_SECONDS)},
    }
