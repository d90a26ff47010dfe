"""Fails the attempts that the service did not answer in time."""

from __future__ import annotations

from typing import Any

import structlog

from apps.core.storage.mongo import collection_of, utc_now
from apps.mengla.choices import CollectionError, CollectionStatus
from apps.mengla.models import Collection
from apps.mengla.queue.jobs import fail_attempt
from apps.mengla.words import NO_ANSWER, NOT_ACCEPTED

logger = structlog.get_logger(__name__)


def has_overdue() -> bool:
    """Whether the answer of an attempt is overdue."""
    return collection_of(Collection).find_one(_overdue(), {"_id": 1}) is not None


def fail_overdue(*, limit: int = 500) -> int:
    """Fail every attempt whose answer is overdue; returns how many. Part of the tick."""
    overdue = collection_of(Collection).find(_overdue(), {"attempt_token": 1, "execution_id": 1})
    ended = 0
    for document in overdue.limit(limit):
        message = NO_ANSWER() if document["execution_id"] else NOT_ACCEPTED()
        status = fail_attempt(
            document["_id"],
            attempt_token=document["attempt_token"],
            error=CollectionError.TIMEOUT,
            message=message,
        )
        if status is not None:
            logger.warning(
                "collection_overdue",
                collection_id=str(document["_id"]),
                reason=message,
                new_status=status.value,
            )
            ended += 1
    return ended


def _overdue() -> dict[str, Any]:
    return {"status": CollectionStatus.DISPATCHED.value, "lease_until": {"$lt": utc_now()}}
