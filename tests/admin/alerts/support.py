"""Brings about what the alert rules look for."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Any, cast

from apps.admin.alerts import evaluation
from apps.admin.alerts.hit_window import KEY as LOOKUPS_KEY
from apps.admin.models import Alert
from apps.core.storage import counters
from apps.core.storage.mongo import collection_of, named_collection, utc_now
from apps.core.storage.redis import get_redis
from apps.mengla.choices import Action, CollectionStatus, Priority
from apps.mengla.models import Collection
from apps.mengla.upstream import breaker

Document = dict[str, Any]


def check() -> tuple[list[str], list[str]]:
    """Check all rules; returns what fired and what ended."""
    result = evaluation.check()
    return result.fired, result.resolved


def alert(key: str) -> Document:
    found = collection_of(Alert).find_one({"_id": key})
    assert found is not None, key
    return found


def change_alert(key: str, **changes: Any) -> None:
    assert collection_of(Alert).update_one({"_id": key}, {"$set": changes}).matched_count == 1


def cool_down(key: str) -> None:
    """Let the cooldown of an alert be over."""
    change_alert(key, told_at=utc_now() - timedelta(days=8))


def end_collections(
    count: int,
    status: CollectionStatus = CollectionStatus.SUCCEEDED,
    *,
    action: Action = Action.HOT,
    seconds: float = 1.0,
    minutes_ago: float = 1.0,
    execution_id: str = "x",
) -> None:
    """Store collections that ended some time ago, after a request of so many seconds."""
    finished_at = utc_now() - timedelta(minutes=minutes_ago)
    insert_collections(
        count,
        status,
        action=action,
        execution_id=execution_id,
        created_at=finished_at - timedelta(seconds=seconds),
        dispatched_at=finished_at - timedelta(seconds=seconds),
        finished_at=finished_at,
    )


def wait_in_queue(*, minutes: float, priority: Priority = Priority.READER, count: int = 1) -> None:
    """Let collections have been waiting for so long."""
    insert_collections(
        count,
        CollectionStatus.PENDING,
        priority=priority.value,
        created_at=utc_now() - timedelta(minutes=minutes),
    )


def insert_collections(count: int, status: CollectionStatus, **facts: Any) -> None:
    now = utc_now()
    base: Document = {
        "action": Action.HOT.value,
        "cat_id": "1001",
        "granularity": "month",
        "priority": Priority.READER.value,
        "status": status.value,
        "attempts": 1,
        "active_key": None,
        "slot": None,
        "execution_id": "",
        "created_at": now,
        "dispatched_at": None,
        "finished_at": None,
    }
    documents = [base | {"identity": f"tests:{number}"} | facts for number in range(count)]
    for document in documents:
        document["action"] = str(document["action"])
    collection_of(Collection).insert_many(documents)


def forget_collections() -> None:
    collection_of(Collection).delete_many({})


def open_breaker(threshold: int) -> None:
    for _ in range(threshold):
        breaker.record_failure("connect_error")


def ask(*, hits: int = 0, misses: int = 0) -> None:
    """Count questions that the tiers could and could not answer."""
    counters.add({counters.STATS: {"read:hot:l1:fresh": hits, "read:hot:miss:collecting": misses}})


def begin_window() -> None:
    """Let a check of a while ago have seen the counters as they are."""
    evaluation.check()
    client = get_redis()
    for member in cast("list[bytes]", client.zrange(LOOKUPS_KEY, 0, -1)):
        client.zadd(LOOKUPS_KEY, {member: time.time() - 40 * 60})


def let_worker_be_silent(*, seconds: float) -> None:
    """Let the last report of all workers be so old."""
    named_collection("core_heartbeats").update_many(
        {}, {"$set": {"beat_at": utc_now() - timedelta(seconds=seconds)}}
    )


def let_first_check_be_awaited(ago: timedelta) -> None:
    """Let the wait for the very first check have begun so long ago."""
    changes = {"$set": {"awaited_since": utc_now() - ago}}
    assert named_collection("alert_checks").update_one({"_id": "alerts"}, changes).matched_count == 1


def let_last_check_be(ago: timedelta) -> datetime:
    """Let the last check have been so long ago."""
    checked_at = utc_now() - ago
    named_collection("alert_checks").update_one(
        {"_id": "alerts"},
        {"$set": {"checked_at": checked_at, "minute": 0}},
        upsert=True,
    )
    return checked_at
