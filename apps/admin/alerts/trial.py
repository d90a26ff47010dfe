"""A test of the channels: a notice that says so goes through the outbox to each of them, at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog
from bson import ObjectId
from django.utils.translation import gettext as _

from apps.admin.alerts import outbox
from apps.admin.alerts.channels.base import TOTAL_SECONDS, Channel
from apps.admin.alerts.channels.configured import list_channels
from apps.admin.alerts.channels.notice_text import TEST
from apps.admin.alerts.words import LATE, MESSAGES, PROBLEMS, TEST_SENT
from apps.admin.choices import Severity
from apps.admin.models import AlertNotice
from apps.core.errors import Conflict
from apps.core.liveness.bounded_reads import call_all
from apps.core.storage.mongo import collection_of, utc_now
from apps.core.time_texts import seconds_between

audit = structlog.get_logger("collector.audit")

# An attempt ends in this time; then its result has to be stored.
_DEADLINE_SECONDS = TOTAL_SECONDS + 1
Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ChannelResult:
    """What became of the test on one channel; ``reason`` says to people why it was not delivered."""

    channel: str
    label: str
    is_delivered: bool
    reason: str
    seconds: float


def send_test(*, sent_by: str) -> list[ChannelResult]:
    """Send a test notice to every channel at the same time, and wait for the results: 11 s at most.

    A failed test is not retried. The notices stay in the outbox's list for a day.

    :raises Conflict: when no channel is configured.
    """
    channels = list_channels()
    if not channels:
        raise Conflict(_("No channel is configured. Set ALERT_URLS or ALERT_WEBHOOK_URL."))
    event_id, event = ObjectId(), _event(sent_by)
    notices = {channel.id: _claimed(event, event_id, channel) for channel in channels}
    for notice in notices.values():
        outbox.insert_once(notice)
    call_all(
        {channel.id: partial(outbox.deliver, channel, notices[channel.id]) for channel in channels},
        deadline_seconds=_DEADLINE_SECONDS,
        late=lambda _channel: False,
    )
    results = list(_results(channels, notices))
    audit.info(
        "alert_test_sent",
        sent_by=sent_by,
        delivered=[one.channel for one in results if one.is_delivered],
        failed=[one.channel for one in results if not one.is_delivered],
    )
    return results


def _event(sent_by: str) -> Document:
    return {
        "kind": TEST,
        "rule": "",
        "action": "",
        "severity": Severity.INFO.value,
        **MESSAGES.stored(TEST_SENT(user=sent_by)),
        "value": None,
        "threshold": None,
        "at": utc_now(),
    }


def _claimed(event: Document, event_id: ObjectId, channel: Channel) -> Document:
    """Return a notice that this process has claimed; if it is killed, the outbox sends it later."""
    notice = outbox.new_notice(event, event_id, channel.id)
    return notice | {"attempts": 1, "not_before": notice["created_at"] + outbox.CLAIM}


def _results(channels: Iterable[Channel], notices: dict[str, Document]) -> Iterable[ChannelResult]:
    keys = [notice["_id"] for notice in notices.values()]
    stored = {one["channel"]: one for one in collection_of(AlertNotice).find({"_id": {"$in": keys}})}
    for channel in channels:
        notice = stored.get(channel.id) or notices[channel.id]
        ended_at = notice["delivered_at"] or notice["given_up_at"]
        yield ChannelResult(
            channel.id,
            channel.label,
            is_delivered=notice["delivered_at"] is not None,
            reason="" if notice["delivered_at"] else PROBLEMS.shown(notice) or LATE(),
            seconds=round(seconds_between(notice["created_at"], ended_at or utc_now()), 1),
        )
