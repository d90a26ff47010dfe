"""The outbox: a notice for each channel that is still to be told of an event. Later checks retry them.

Channels do not wait for each other: each notice has a state and retries of its own. Of each alert only the
oldest notice of a channel is sent, so that the end of an alert never overtakes its beginning. Alerts do not
wait for each other either. A notice is given up when the receiver refuses it, after ``MAX_ATTEMPTS``
attempts, or after a day. Its state is kept for a day, and so is the reason why it was given up.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog
from bson import ObjectId
from pymongo.errors import DuplicateKeyError

from apps.admin.alerts.catalogue import key_of
from apps.admin.alerts.channels.base import Channel, NotDeliveredError
from apps.admin.alerts.channels.configured import WEBHOOK, list_channels
from apps.admin.alerts.channels.notice_text import TEST
from apps.admin.alerts.words import MESSAGES, NOT_CONFIGURED, PROBLEMS, RECOVERED, TOO_OLD
from apps.admin.choices import AlertEventKind
from apps.admin.models import Alert, AlertNotice
from apps.core.liveness.bounded_reads import call_all
from apps.core.storage import counters
from apps.core.storage.mongo import collection_of, named_collection, utc_now
from apps.core.time_texts import seconds_between

logger = structlog.get_logger("collector.alerts")

MAX_ATTEMPTS = 10
NOTICE = "alert_notice"  # names the counters of delivered and given-up notices
KEPT_FOR = timedelta(days=1)
# Longer than one attempt can take. When a sender is killed, another one may claim the notice after this time.
CLAIM = timedelta(seconds=60)
# While the settings of hosts are changed, one process may not know a channel that another one knows.
UNKNOWN_CHANNEL_GRACE = timedelta(minutes=10)
# What the former release has posted before that is from before the upgrade: no news for other channels.
FORMER_GRACE = timedelta(minutes=10)
_LAST_ATTEMPT_SECONDS = 15.0  # one that begins before the time is over
_FIRST_DELAY_SECONDS = 30
_MAX_DELAY_SECONDS = 900
WAITING: Mapping[str, Any] = {"delivered_at": None, "given_up_at": None}
_OLDEST_FIRST = {"created_at": 1, "_id": 1}
# Where processes of the former release put notices for the webhook.
_FORMER = "alert_notices"
Document = dict[str, Any]


def enqueue(event: Mapping[str, Any], event_id: ObjectId) -> None:
    """Store a notice of an event for each channel; may be repeated."""
    for channel in list_channels():
        insert_once(new_notice(event, event_id, channel.id))


def new_notice(event: Mapping[str, Any], event_id: ObjectId, channel: str) -> Document:
    """Return a notice as it is stored; its key follows from the event and the channel."""
    now, key = utc_now(), event_id
    if channel != WEBHOOK:
        key = ObjectId(hashlib.sha256(event_id.binary + channel.encode()).digest()[:12])
    return {
        "_id": key,
        "event": dict(event),
        **{name: event[name] for name in ("kind", "rule", "action")},
        "channel": channel,
        "attempts": 0,
        "not_before": now,
        "created_at": now,
        "delivered_at": None,
        "given_up_at": None,
        "failed_at": None,
        "error": "",
        "error_parts": None,
    }


def insert_once(notice: Document) -> None:
    """Insert a notice unless it is there already."""
    try:
        collection_of(AlertNotice).insert_one(notice)
    except DuplicateKeyError:
        return  # an earlier call has inserted it


def has_due() -> bool:
    """Return whether a notice may be sent now."""
    _adopt_former()
    return any(_next_due(utc_now(), channel) is not None for channel in list_channels())


def deliver_due(*, max_seconds: float = 40.0) -> int:
    """Send the due notices until none is left or the time is over; returns how many were delivered.

    The channels are served at the same time, so that a slow one holds no other back.
    """
    _adopt_former()
    _clean_up()
    deadline, now = time.monotonic() + max_seconds, utc_now()
    due = [channel for channel in list_channels() if _next_due(now, channel) is not None]
    delivered = call_all(
        {channel.id: partial(_deliver_due_of, channel, deadline) for channel in due},
        deadline_seconds=max_seconds + _LAST_ATTEMPT_SECONDS,
        late=lambda _channel: 0,
    )
    return sum(delivered.values())


def deliver(channel: Channel, notice: Document) -> bool:
    """Make one attempt with a notice that is claimed, and store the result; returns whether it succeeded."""
    facts = _log_facts(notice)
    try:
        channel.send(str(notice["_id"]), notice["event"])
    except NotDeliveredError as error:
        is_last = notice["attempts"] >= MAX_ATTEMPTS or notice["event"]["kind"] == TEST
        if error.is_permanent or is_last:
            _give_up(notice, str(error), error.message)
            return False
        delay_seconds = min(_FIRST_DELAY_SECONDS * 2 ** (notice["attempts"] - 1), _MAX_DELAY_SECONDS)
        retry_at = utc_now() + timedelta(seconds=delay_seconds)
        collection_of(AlertNotice).update_one(
            {"_id": notice["_id"], **WAITING},
            {
                "$set": {
                    "not_before": retry_at,
                    "failed_at": utc_now(),
                    **PROBLEMS.stored(error.message),
                }
            },
        )
        logger.warning(
            "alert_notice_not_delivered", reason=str(error), retry_at=retry_at.isoformat(), **facts
        )
        return False
    collection_of(AlertNotice).update_one(
        {"_id": notice["_id"]},
        {"$set": {"delivered_at": utc_now(), "given_up_at": None, **PROBLEMS.stored("")}},
    )
    counters.add({counters.STATS: {f"{NOTICE}:delivered": 1}})
    logger.info("alert_notice_delivered", **facts)
    return True


def _deliver_due_of(channel: Channel, deadline: float) -> int:
    delivered = 0
    while time.monotonic() < deadline and (notice := _next_due(utc_now(), channel)) is not None:
        if (claimed := _claim(notice)) is not None:
            delivered += deliver(channel, claimed)
    return delivered


def _next_due(now: datetime, channel: Channel) -> Document | None:
    """Return the oldest notice of a channel that is due and the first of its alert; None if there is none."""
    found = collection_of(AlertNotice).aggregate(
        [
            {"$match": {"channel": {"$in": channel.ids}, **WAITING}},
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
    same = {"_id": notice["_id"], "attempts": notice["attempts"], **WAITING}
    claimed = collection_of(AlertNotice).update_one(
        same, {"$set": {"not_before": utc_now() + CLAIM}, "$inc": {"attempts": 1}}
    )
    return notice | {"attempts": notice["attempts"] + 1} if claimed.modified_count else None


def _give_up(notice: Document, reason: str, message: str) -> None:
    """Note that a notice cannot be delivered; only the process that notes it logs and counts it."""
    now = utc_now()
    changes = {"given_up_at": now, "failed_at": now, **PROBLEMS.stored(message)}
    given_up = collection_of(AlertNotice).update_one({"_id": notice["_id"], **WAITING}, {"$set": changes})
    if given_up.modified_count:
        counters.add({counters.STATS: {f"{NOTICE}:given_up": 1}})
        logger.error("alert_notice_given_up", reason=reason, **_log_facts(notice))


def _clean_up() -> None:
    """Delete the notices that are older than a day; give up those of channels that are no longer there."""
    notices, now = collection_of(AlertNotice), utc_now()
    too_old = {"created_at": {"$lt": now - KEPT_FOR}}
    for notice in notices.find({**too_old, **WAITING}):
        _give_up(notice, "too old", TOO_OLD())
    notices.delete_many(too_old)
    known = [name for channel in list_channels() for name in channel.ids]
    unknown = {"created_at": {"$lt": now - UNKNOWN_CHANNEL_GRACE}, "channel": {"$nin": known}}
    for notice in notices.find({**unknown, **WAITING}):
        _give_up(notice, "no receiver", NOT_CONFIGURED())


def _adopt_former() -> None:
    """Take over what processes of the former release have left; they know no channel but the webhook.

    What they have posted already is for the other channels, unless it is older than the upgrade may be.
    """
    former, now = named_collection(_FORMER), utc_now()
    for notice in former.find({"not_before": {"$lte": now}}):
        is_posted, is_recent = notice["delivered_at"] is not None, notice["created_at"] > now - FORMER_GRACE
        event = _in_new_words(notice["event"])
        for channel in {WEBHOOK, *(one.id for one in list_channels())}:
            if not is_posted or (channel != WEBHOOK and is_recent):
                insert_once(new_notice(event, notice["_id"], channel))
        former.delete_one({"_id": notice["_id"]})


def _in_new_words(event: Document) -> Document:
    """Return the event of the former release; it told of an end with the words of the cause."""
    key = key_of(event["rule"], event["action"])
    alert = collection_of(Alert).find_one({"_id": key, "fired_at": {"$lte": event["at"]}}, {"fired_at": 1})
    if event["kind"] != AlertEventKind.RESOLVED.value or alert is None:
        return event
    lasted_seconds = seconds_between(alert["fired_at"], event["at"])
    return event | MESSAGES.stored(RECOVERED(lasted_seconds=lasted_seconds))


def _log_facts(notice: Mapping[str, Any]) -> dict[str, Any]:
    event = notice["event"]
    return {
        "notice": str(notice["_id"]),
        "channel": notice["channel"],
        "rule": event["rule"],
        "kind": event["kind"],
        "attempts": notice["attempts"],
    }
