"""The outbox of the webhook: what is still to be told, the oldest first, tried again by later checks.

Of each alert only the oldest notice is ever tried, so that its end never overtakes its beginning; no alert
waits for another one. A notice is given up when the receiver refuses it, after ``MAX_ATTEMPTS`` tries, or
after a day.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings

from apps.admin.alerts.notifiers import NotDeliveredError, post_notice
from apps.admin.models import AlertNotice
from apps.core.storage import counters
from apps.core.storage.mongo import collection_of, utc_now

logger = structlog.get_logger("collector.alerts")

MAX_ATTEMPTS = 10
NOTICE = "alert_notice"  # the counters: how many notices were delivered or given up
KEPT_FOR = timedelta(days=1)
# Longer than one try can take; a sender that was killed in the middle is followed by another after this.
_CLAIM = timedelta(seconds=60)
_FIRST_DELAY_SECONDS = 30
_MAX_DELAY_SECONDS = 900
_WAITING: Mapping[str, Any] = {"delivered_at": None}
_OLDEST_FIRST = {"created_at": 1, "_id": 1}
Document = dict[str, Any]


def has_due() -> bool:
    """Whether a notice that waits may be tried now."""
    return _next_due(utc_now()) is not None


def deliver_due(*, max_seconds: float = 40.0) -> int:
    """Send what is due, until there is no more or the time is over; returns how many were delivered."""
    _forget_old()
    delivered, deadline = 0, time.monotonic() + max_seconds
    while time.monotonic() < deadline and (notice := _next_due(utc_now())) is not None:
        if (claimed := _claim(notice)) is not None:
            delivered += _deliver(claimed)
    return delivered


def _next_due(now: datetime) -> Document | None:
    """Return the oldest notice that may be tried: the first of its alert, and its time has come."""
    found = collection_of(AlertNotice).aggregate(
        [
            {"$match": _WAITING},
            {"$sort": _OLDEST_FIRST},
            {
                "$group": {
                    "_id": {"rule": "$event.rule", "action": "$event.action"},
                    "first": {"$first": "$$ROOT"},
                }
            },
            {"$replaceRoot": {"newRoot": "$first"}},
            {"$match": {"not_before": {"$lte": now}}},
            {"$sort": _OLDEST_FIRST},
            {"$limit": 1},
        ]
    )
    return next(iter(found), None)


def _claim(notice: Document) -> Document | None:
    """Take a notice; None when somebody else is at work on it."""
    same = {"_id": notice["_id"], "attempts": notice["attempts"], **_WAITING}
    claimed = collection_of(AlertNotice).update_one(
        same, {"$set": {"not_before": utc_now() + _CLAIM}, "$inc": {"attempts": 1}}
    )
    return notice | {"attempts": notice["attempts"] + 1} if claimed.modified_count else None


def _deliver(notice: Document) -> bool:
    notices, facts = collection_of(AlertNotice), _log_facts(notice)
    try:
        post_notice(str(notice["_id"]), notice["event"])
    except NotDeliveredError as error:
        if error.is_permanent or notice["attempts"] >= MAX_ATTEMPTS:
            _give_up(notice, str(error))
            return False
        delay_seconds = min(_FIRST_DELAY_SECONDS * 2 ** (notice["attempts"] - 1), _MAX_DELAY_SECONDS)
        retry_at = utc_now() + timedelta(seconds=delay_seconds)
        notices.update_one({"_id": notice["_id"]}, {"$set": {"not_before": retry_at}})
        logger.warning(
            "alert_notice_not_delivered", reason=str(error), retry_at=retry_at.isoformat(), **facts
        )
        return False
    notices.update_one({"_id": notice["_id"]}, {"$set": {"delivered_at": utc_now()}})
    counters.add({counters.STATS: {f"{NOTICE}:delivered": 1}})
    logger.info("alert_notice_delivered", **facts)
    return True


def _give_up(notice: Document, reason: str) -> None:
    """Delete a notice that will not be taken; told and counted once, whoever else does the same."""
    if collection_of(AlertNotice).delete_one({"_id": notice["_id"]}).deleted_count:
        counters.add({counters.STATS: {f"{NOTICE}:given_up": 1}})
        logger.error("alert_notice_given_up", reason=reason, **_log_facts(notice))


def _forget_old() -> None:
    """Delete what is older than a day; without a receiver all that waits, too."""
    notices = collection_of(AlertNotice)
    old: list[Mapping[str, Any]] = [{"created_at": {"$lt": utc_now() - KEPT_FOR}}]
    if not settings.ALERT_WEBHOOK_URL:
        old.append(_WAITING)
    for notice in notices.find({"$or": old}):
        if notice["delivered_at"] is None:
            _give_up(notice, "too old" if settings.ALERT_WEBHOOK_URL else "no receiver")
        else:
            notices.delete_one({"_id": notice["_id"]})


def _log_facts(notice: Mapping[str, Any]) -> dict[str, Any]:
    event = notice["event"]
    return {
        "notice": str(notice["_id"]),
        "rule": event["rule"],
        "kind": event["kind"],
        "attempts": notice["attempts"],
    }
