"""The outbox of the webhook: what is still to be told, the oldest first, tried again by later checks.

Only the oldest notice is ever tried, so that an alert's end never overtakes its beginning. A notice is given
up after ``MAX_ATTEMPTS`` tries or a day.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import structlog
from django.conf import settings
from pymongo import ASCENDING

from apps.admin.alerts.notifiers import NotDeliveredError, post_notice
from apps.admin.models import AlertNotice
from apps.core.mongo import collection_of, utc_now

logger = structlog.get_logger("collector.alerts")

MAX_ATTEMPTS = 10
KEPT_FOR = timedelta(days=1)
# Longer than one try can take; a sender that was killed in the middle is followed by another after this.
_CLAIM = timedelta(seconds=60)
_FIRST_DELAY_SECONDS = 30
_MAX_DELAY_SECONDS = 900
_WAITING: Mapping[str, Any] = {"delivered_at": None}
_OLDEST_FIRST = [("created_at", ASCENDING), ("_id", ASCENDING)]
Document = dict[str, Any]


def has_due() -> bool:
    """Whether the oldest notice that waits may be tried now."""
    notice = _oldest()
    return notice is not None and notice["not_before"] <= utc_now()


def deliver_due(*, max_seconds: float = 40.0) -> int:
    """Send what is due until a try fails or the time is over; returns how many notices were delivered."""
    _forget_old()
    delivered, deadline = 0, time.monotonic() + max_seconds
    while time.monotonic() < deadline:
        notice = _claim()
        if notice is None or not _deliver(notice):
            break
        delivered += 1
    return delivered


def _claim() -> Document | None:
    """Take the oldest notice, None when it is not due or somebody else is at work on it."""
    now, notice = utc_now(), _oldest()
    if notice is None or notice["not_before"] > now:
        return None
    same = {"_id": notice["_id"], "attempts": notice["attempts"], **_WAITING}
    claimed = collection_of(AlertNotice).update_one(
        same, {"$set": {"not_before": now + _CLAIM}, "$inc": {"attempts": 1}}
    )
    return notice | {"attempts": notice["attempts"] + 1} if claimed.modified_count else None


def _deliver(notice: Document) -> bool:
    notices, facts = collection_of(AlertNotice), _log_facts(notice)
    reason = _try(notice)
    if reason is None:
        notices.update_one({"_id": notice["_id"]}, {"$set": {"delivered_at": utc_now()}})
        logger.info("alert_notice_delivered", **facts)
        return True
    if notice["attempts"] >= MAX_ATTEMPTS:
        notices.delete_one({"_id": notice["_id"]})
        logger.error("alert_notice_given_up", reason=reason, **facts)
        return False
    delay_seconds = min(_FIRST_DELAY_SECONDS * 2 ** (notice["attempts"] - 1), _MAX_DELAY_SECONDS)
    retry_at = utc_now() + timedelta(seconds=delay_seconds)
    notices.update_one({"_id": notice["_id"]}, {"$set": {"not_before": retry_at}})
    logger.warning("alert_notice_not_delivered", reason=reason, retry_at=retry_at.isoformat(), **facts)
    return False


def _try(notice: Document) -> str | None:
    """Send it once; returns why that failed."""
    try:
        post_notice(str(notice["_id"]), notice["event"])
    except NotDeliveredError as error:
        return str(error)
    return None


def _forget_old() -> None:
    """Delete what is older than a day; without a receiver all that waits, too."""
    notices = collection_of(AlertNotice)
    old: list[Mapping[str, Any]] = [{"created_at": {"$lt": utc_now() - KEPT_FOR}}]
    if not settings.ALERT_WEBHOOK_URL:
        old.append(_WAITING)
    for notice in notices.find({"$or": old}):
        if notices.delete_one({"_id": notice["_id"]}).deleted_count and notice["delivered_at"] is None:
            logger.error("alert_notice_given_up", reason="too old", **_log_facts(notice))


def _oldest() -> Document | None:
    return collection_of(AlertNotice).find_one(_WAITING, sort=_OLDEST_FIRST)


def _log_facts(notice: Mapping[str, Any]) -> dict[str, Any]:
    event = notice["event"]
    return {
        "notice": str(notice["_id"]),
        "rule": event["rule"],
        "kind": event["kind"],
        "attempts": notice["attempts"],
    }
