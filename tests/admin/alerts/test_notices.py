"""What the receiver of alerts is sent: a signed POST for each firing and each recovery, until it takes it."""

from __future__ import annotations

import hashlib
import hmac
import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any, cast

import pytest
from django.test import Client
from django_q.signing import SignedPackage

from apps.admin import tasks
from apps.admin.alerts import outbox
from apps.admin.alerts.channels import webhook
from apps.admin.models import AlertNotice
from apps.core.liveness.processes import note_heartbeat
from apps.core.scheduling.broker import RedisBroker
from apps.core.storage import counters
from apps.core.storage.mongo import collection_of, utc_now
from apps.core.storage.redis import get_redis
from apps.mengla.choices import Action, CollectionStatus
from tests.admin.alerts.receiver import Receiver
from tests.admin.alerts.support import check, cool_down, end_collections, let_worker_be_silent, open_breaker
from tests.http import METRICS_HEADERS

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]

Log = Callable[[], list[dict[str, Any]]]
FIRING, RESOLVED = ("worker_silent", "firing"), ("worker_silent", "resolved")


@pytest.fixture(autouse=True)
def _worker_lives(db: None) -> None:
    note_heartbeat()


def fire() -> None:
    let_worker_be_silent(seconds=1000)
    check()


def end() -> None:
    note_heartbeat()
    check()


def waiting() -> list[dict[str, Any]]:
    return list(collection_of(AlertNotice).find(outbox.WAITING))


def let_it_be_due() -> None:
    collection_of(AlertNotice).update_many({}, {"$set": {"not_before": utc_now()}})


class TestDelivery:
    def test_once_per_firing_and_once_per_recovery(self, receiver: Receiver) -> None:
        for _ in range(3):
            fire()
            tasks.send_alert_notices()
        assert receiver.facts == [FIRING]
        for _ in range(3):
            end()
            tasks.send_alert_notices()
        assert receiver.facts == [FIRING, RESOLVED]
        assert waiting() == []

    def test_what_is_sent(self, receiver: Receiver, settings: Any) -> None:
        fire()
        assert outbox.deliver_due() == 1
        (received,) = receiver.received
        assert received.path == "/hook/s3cret-path"
        assert received.headers["Content-Type"] == "application/json"
        mac = hmac.new(settings.ALERT_WEBHOOK_SECRET.encode(), received.body, hashlib.sha256).hexdigest()
        assert received.headers["X-Signature-256"] == f"sha256={mac}"
        body = received.json
        assert set(body) == {
            *("id", "status", "rule", "action", "severity", "message", "value", "threshold", "at", "source"),
            *("url", "evidence_url"),
        }
        assert (body["severity"], body["threshold"]) == ("critical", 180.0)
        assert body["value"] == pytest.approx(1000, abs=5)
        assert re.match(r"The last report of a worker is 100\d ", body["message"])
        assert datetime.fromisoformat(body["at"]).utcoffset() == timedelta(0)
        assert body["source"] == settings.APP_BASEURL

    def test_without_a_secret_it_is_not_signed(self, receiver: Receiver, settings: Any) -> None:
        settings.ALERT_WEBHOOK_SECRET = ""
        fire()
        outbox.deliver_due()
        assert "X-Signature-256" not in receiver.received[0].headers

    def test_many_senders_at_once(self, receiver: Receiver, settings: Any) -> None:
        settings.ALERT_COOLDOWN_MINUTES = 0
        for _ in range(3):
            fire()
            end()
        begin = threading.Barrier(6)

        def send(_: int) -> int:
            begin.wait()
            return outbox.deliver_due()

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(send, range(6)))
        while waiting():  # a sender gives way to the one at work
            outbox.deliver_due()
        assert receiver.facts == [FIRING, RESOLVED] * 3
        assert len({one.json["id"] for one in receiver.received}) == 6

    def test_nobody_is_told_without_an_address(self, settings: Any, written_log: Log) -> None:
        settings.ALERT_WEBHOOK_URL = None
        fire()
        assert waiting() == []
        assert "alert_fired" in {line["event"] for line in written_log()}

    def test_what_waits_is_forgotten_when_the_address_is_taken_away(
        self, receiver: Receiver, settings: Any
    ) -> None:
        fire()
        settings.ALERT_WEBHOOK_URL = None
        assert outbox.deliver_due() == 0
        assert len(waiting()) == 1  # another process may know the address
        collection_of(AlertNotice).update_many(
            {}, {"$set": {"created_at": utc_now() - timedelta(minutes=11)}}
        )
        assert outbox.deliver_due() == 0
        assert waiting() == receiver.facts == []


class TestFailure:
    @pytest.mark.parametrize("status", [500, 503, 408, 429, 301, 307])
    def test_it_is_tried_again_by_later_checks_in_order(self, receiver: Receiver, status: int) -> None:
        receiver.status = status
        fire()
        assert outbox.deliver_due() == 0
        assert outbox.deliver_due() == 0  # not before its time
        assert receiver.facts == [FIRING]
        end()
        outbox.deliver_due()  # the end does not overtake the beginning
        assert receiver.facts == [FIRING]
        receiver.status = 200
        let_it_be_due()
        assert outbox.deliver_due() == 2
        assert receiver.facts == [FIRING, FIRING, RESOLVED]
        assert receiver.received[0].json["id"] == receiver.received[1].json["id"]
        assert receiver.received[0].body == receiver.received[1].body

    @pytest.mark.parametrize("status", [400, 401, 404, 410, 422, 499])
    def test_a_refusal_is_final_and_holds_nobody_back(
        self, receiver: Receiver, written_log: Log, status: int
    ) -> None:
        fire()
        receiver.refused = {"worker_silent": status}
        open_breaker(5)
        check()
        end()
        assert outbox.deliver_due() == 1
        assert receiver.facts == [FIRING, ("breaker_open", "firing"), RESOLVED]
        lines = [one for one in written_log() if one["event"] == "alert_notice_given_up"]
        assert [(one["level"], one["reason"], one["attempts"]) for one in lines] == [
            ("error", f"status {status}", 1)
        ] * 2
        assert waiting() == []
        counts = counters.read_total(counters.STATS)
        assert (counts["alert_notice:given_up"], counts["alert_notice:delivered"]) == (2, 1)

    def test_an_alert_does_not_wait_for_another_one(self, receiver: Receiver, client: Client) -> None:
        fire()
        receiver.refused = {"worker_silent": 500}
        open_breaker(5)
        end_collections(3, CollectionStatus.EMPTY, action=Action.HOT)
        end_collections(3, CollectionStatus.EMPTY, action=Action.HIGH)
        check()
        end()
        assert outbox.deliver_due() == 3
        assert receiver.facts[0] == FIRING
        assert sorted(receiver.facts[1:]) == [("breaker_open", "firing")] + [("empty_streak", "firing")] * 2
        assert [one["event"]["rule"] for one in waiting()] == ["worker_silent"] * 2  # in its own order
        let_it_be_due()
        receiver.refused = {}
        assert outbox.deliver_due() == 2
        assert receiver.facts[-2:] == [FIRING, RESOLVED]
        metrics = client.get("/metrics", headers=METRICS_HEADERS).content.decode()
        assert 'collector_alert_notices_total{outcome="delivered"} 5.0' in metrics

    def test_no_server_listens(self, receiver: Receiver, settings: Any, written_log: Log) -> None:
        settings.ALERT_WEBHOOK_URL = "http://user:passw0rd@127.0.0.1:1/s3cret-path"
        fire()
        assert outbox.deliver_due() == 0
        (line,) = [one for one in written_log() if one["event"] == "alert_notice_not_delivered"]
        assert line["reason"] == "ConnectError"
        assert "s3cret" not in str(written_log()) and "passw0rd" not in str(written_log())

    @pytest.mark.parametrize("url", ["http://[broken", "http://\x00/", "http://host.invalid/x", "http://a:b"])
    def test_an_address_that_is_none(self, receiver: Receiver, settings: Any, url: str) -> None:
        settings.ALERT_WEBHOOK_URL = url
        fire()
        assert outbox.deliver_due() == 0
        assert len(waiting()) == 1

    def test_a_receiver_that_never_ends_its_answer_holds_nobody(
        self, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, written_log: Log
    ) -> None:
        monkeypatch.setattr(webhook, "TOTAL_SECONDS", 0.5)
        receiver.is_dripping = True
        fire()
        assert outbox.deliver_due() == 0
        (line,) = [one for one in written_log() if one["event"] == "alert_notice_not_delivered"]
        assert line["reason"] == "no answer in time"

    def test_it_is_given_up_after_ten_tries_and_the_next_one_has_its_turn(
        self, receiver: Receiver, written_log: Log
    ) -> None:
        receiver.status = 500
        fire()
        end()
        for _ in range(outbox.MAX_ATTEMPTS):
            let_it_be_due()
            outbox.deliver_due()
        assert receiver.facts == [FIRING] * outbox.MAX_ATTEMPTS + [RESOLVED]
        (line,) = [one for one in written_log() if one["event"] == "alert_notice_given_up"]
        assert (line["level"], line["reason"], line["attempts"]) == ("error", "status 500", 10)
        receiver.status = 200
        let_it_be_due()
        outbox.deliver_due()
        assert receiver.facts[-1] == RESOLVED

    def test_waits_grow_and_are_bounded(self, receiver: Receiver) -> None:
        receiver.status = 500
        fire()
        waits = []
        for _ in range(outbox.MAX_ATTEMPTS - 1):
            let_it_be_due()
            outbox.deliver_due()
            waits.append(round((waiting()[0]["not_before"] - utc_now()).total_seconds()))
        assert waits == pytest.approx([30, 60, 120, 240, 480, 900, 900, 900, 900], abs=20)

    def test_what_is_older_than_a_day_is_given_up(self, receiver: Receiver, written_log: Log) -> None:
        fire()
        collection_of(AlertNotice).update_many({}, {"$set": {"created_at": utc_now() - timedelta(hours=25)}})
        assert outbox.deliver_due() == 0
        assert receiver.facts == []
        assert "alert_notice_given_up" in {line["event"] for line in written_log()}

    def test_what_was_delivered_is_forgotten_after_a_day_without_a_word(
        self, receiver: Receiver, written_log: Log
    ) -> None:
        fire()
        outbox.deliver_due()
        collection_of(AlertNotice).update_many({}, {"$set": {"created_at": utc_now() - timedelta(hours=25)}})
        outbox.deliver_due()
        assert collection_of(AlertNotice).count_documents({}) == 0
        assert "alert_notice_given_up" not in {line["event"] for line in written_log()}

    def test_a_sender_that_was_killed_is_followed_by_another(
        self, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def killed(*_: Any) -> None:
            raise KeyboardInterrupt

        fire()
        with monkeypatch.context() as patch:
            patch.setattr(webhook, "post_notice", killed)
            with pytest.raises(KeyboardInterrupt):
                outbox.deliver_due()
        assert outbox.deliver_due() == 0  # its claim holds
        let_it_be_due()
        assert outbox.deliver_due() == 1
        assert receiver.facts == [FIRING]


class TestTheCheckDoesNotWait:
    def test_it_only_wakes_the_sender(self, receiver: Receiver, settings: Any) -> None:
        receiver.status = 500
        fire()
        assert receiver.received == []
        assert queued_tasks() == ["alert_notices"]
        outbox.deliver_due()
        check()
        assert queued_tasks() == ["alert_notices"]  # nothing is due
        let_it_be_due()
        check()
        assert queued_tasks() == ["alert_notices"] * 2

    def test_again_after_a_cooldown(self, receiver: Receiver) -> None:
        fire()
        end()
        cool_down("worker_silent")
        fire()
        outbox.deliver_due()
        assert receiver.facts == [FIRING, RESOLVED, FIRING]


def queued_tasks() -> list[str]:
    """The groups of the tasks in the worker clusters' queue."""
    packed = cast("list[bytes]", get_redis().lrange(RedisBroker().list_key, 0, -1))
    return [SignedPackage.loads(one.decode())["group"] for one in packed]
