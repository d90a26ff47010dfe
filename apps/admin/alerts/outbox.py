"""The outbox of the webhook: the notices that are still to be sent, oldest first. Later checks retry them.

Of each alert only the oldest notice is sent, so that the end of an alert never overtakes its beginning.
Alerts do not wait for each other. A notice is given up when the receiver refuses it, after ``MAX_ATTEMPTS``
attempts, or after a day.
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
NOTICE = "alert_notice"  # names the counters of delivered and given-up notices
KEPT_FOR = timedelta(days=1)
# Longer than one attempt can take. When a sender is killed, another one may claim the notice after this time.
_CLAIM = timedelta(seconds=60)
_FIRST_DELAY_SECONDS = 30
_MAX_DELAY_SECONDS = 900
_WAITING: Mapping[str, Any] = {"delivered_at": None}
_OLDEST_FIRST = {"created_at": 1, "_id": 1}
Document = dict[str, Any]


def has_due() -> bool:
    """Return whether a notice may be sent now."""
    return _next_due(utc_now()) is not None


def deliver_due(*, max_seconds: float = 40.0) -> int:
    """Send the due notices until none is left or the time is over; returns how many were delivered."""
    _delete_old()
    delivered, deadline = 0, time.monotonic() + max_seconds
    while time.monotonic() < deadline and (notice := _next_due(utc_now())) is not None:
        if (claimed := _claim(notice)) is not None:
            delivered += _deliver(claimed)
    return delivered


def _next_due(now: datetime) -> Document | None:
    """Return the oldest notice that is due and is the first of its alert; None when there is none."""
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
    """Claim a notice for one attempt; None when another process has claimed it."""
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
    """Delete a notice that cannot be delivered; only the process that deletes it logs and counts it."""
    if collection_of(AlertNotice).delete_one({"_id": notice["_id"]}).deleted_count:
        counters.add({counters.STATS: {f"{NOTICE}:given_up": 1}})
        logger.error("alert_notice_given_up", reason=reason, **_log_facts(notice))


def _delete_old() -> None:
    """Delete the notices that are older than a day; without a receiver, also every undelivered one."""
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
