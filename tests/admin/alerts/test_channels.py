"""Channels of ALERT_URLS: each has its own deliveries and retries, and nobody ever sees its address."""

from __future__ import annotations

import email
import email.policy
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures.thread import _threads_queues as pool_threads
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest
from bson import ObjectId
from django.core.management import call_command
from django.core.management.base import SystemCheckError

from apps.admin.alerts import outbox
from apps.admin.alerts.channels import base, service_url
from apps.admin.alerts.channels.configured import list_channels
from apps.admin.alerts.trial import send_test
from apps.admin.models import Alert, AlertNotice
from apps.core.errors import Conflict
from apps.core.liveness.processes import note_heartbeat
from apps.core.storage.mongo import collection_of, named_collection, utc_now
from apps.mengla.choices import CollectionStatus
from config.parsers import service_urls
from tests.admin.alerts.mail_server import MailServer
from tests.admin.alerts.receiver import Receiver
from tests.admin.alerts.support import check, end_collections, let_worker_be_silent

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]

Log = Callable[[], list[dict[str, Any]]]
SECRET = "s3cret-token"


@pytest.fixture(autouse=True)
def _worker_lives(db: None) -> None:
    note_heartbeat()


@pytest.fixture
def services() -> Iterator[tuple[Receiver, Receiver]]:
    """Two services that notices are sent to."""
    with Receiver() as first, Receiver() as second:
        yield first, second


def json_url(receiver: Receiver, scheme: str = "json") -> str:
    return f"{scheme}://user:{SECRET}@127.0.0.1:{receiver.port}/{SECRET}"


def fire() -> None:
    let_worker_be_silent(seconds=1000)
    check()


def end() -> None:
    note_heartbeat()
    check()


def let_it_be_due() -> None:
    collection_of(AlertNotice).update_many({}, {"$set": {"not_before": utc_now()}})


def titles(receiver: Receiver) -> list[str]:
    return [one.json["title"] for one in receiver.received]


class TestDelivery:
    def test_title_body_severity_and_links(self, services: tuple[Receiver, Receiver], settings: Any) -> None:
        settings.ALERT_URLS = json_url(services[0])
        settings.APP_BASEURL, settings.ADMIN_PATH = "https://collector.example.com", "ops/"
        fire()
        end()
        assert outbox.deliver_due() == 2
        fired, resolved = [one.json for one in services[0].received]
        assert (fired["title"], fired["type"]) == ("Critical: No worker reports", "failure")
        assert (resolved["title"], resolved["type"]) == ("Resolved: No worker reports", "success")
        assert fired["message"].startswith("The last report of a worker is 100")
        assert "https://collector.example.com/ops/alerts/worker_silent/" in fired["message"].splitlines()
        assert "Value: 16 min" in fired["message"]
        assert resolved["message"].startswith("A worker reports again; the alert lasted ")

    def test_a_form_in_the_language_of_the_installation(
        self, services: tuple[Receiver, Receiver], settings: Any
    ) -> None:
        settings.ALERT_URLS, settings.LANGUAGE_CODE = json_url(services[0], "form"), "zh-hans"
        end_collections(3, CollectionStatus.EMPTY)
        check()
        assert outbox.deliver_due() == 1
        (received,) = services[0].received
        form = {name: values[0] for name, values in parse_qs(received.body.decode()).items()}
        assert form["title"].startswith("警告：")
        assert form["message"].startswith("最近 3 次采集结果均为空。")
        assert "/alerts/empty_streak%3Ahot/" in form["message"]

    def test_a_mail(self, settings: Any) -> None:
        with MailServer() as server:
            settings.ALERT_URLS = f"mailto://127.0.0.1:{server.port}?from=a@example.com&to=ops@example.com"
            fire()
            assert outbox.deliver_due() == 1
            (mail,) = server.mails
            message: Any = email.message_from_string(mail, policy=email.policy.default)
            assert message["Subject"] == "Critical: No worker reports"
            assert message["To"] == "ops@example.com"
            server.is_refusing = True
            (result,) = send_test(sent_by="chief")
            assert not result.is_delivered

    def test_one_that_is_down_holds_no_other_back_and_none_is_told_twice(
        self, receiver: Receiver, services: tuple[Receiver, Receiver], settings: Any, written_log: Log
    ) -> None:
        working, broken = services
        broken.status = 500
        settings.ALERT_URLS = f"{json_url(broken)} {json_url(working)}"
        fire()
        assert outbox.deliver_due() == 2
        let_it_be_due()
        end()
        assert outbox.deliver_due() == 2
        assert len(broken.received) == 2  # the end does not overtake the beginning
        broken.status = 200
        let_it_be_due()
        assert outbox.deliver_due() == 2
        names = ["Critical: No worker reports", "Resolved: No worker reports"]
        assert titles(working) == names
        assert titles(broken) == [names[0], names[0], *names]
        assert [status for _, status in receiver.facts] == ["firing", "resolved"]
        lines = [one for one in written_log() if one["event"] == "alert_notice_not_delivered"]
        assert {one["reason"] for one in lines} == {"status 500"}
        assert {one["channel"] for one in lines} == {service_url.channel_ids(json_url(broken))[0]}

    def test_a_notice_from_before_a_change_of_the_key_is_delivered_once(
        self, services: tuple[Receiver, Receiver], settings: Any
    ) -> None:
        settings.ALERT_URLS = json_url(services[0])
        fire()
        settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "another key" * 5
        assert outbox.deliver_due() == 1
        assert outbox.deliver_due() == 0
        assert titles(services[0]) == ["Critical: No worker reports"]

    def test_a_slow_one_holds_no_other_back(
        self, receiver: Receiver, services: tuple[Receiver, Receiver], settings: Any, monkeypatch: Any
    ) -> None:
        monkeypatch.setattr(service_url, "TOTAL_SECONDS", 1.0)
        services[0].is_dripping = True
        settings.ALERT_URLS = json_url(services[0])
        fire()
        assert outbox.deliver_due() == 1
        assert len(receiver.received) == 1
        (waiting,) = collection_of(AlertNotice).find(outbox.WAITING)
        assert waiting["error"] == "No response in time."
        # Python would wait at exit for a thread that is no daemon, or belongs to a pool.
        sending = [one for one in threading.enumerate() if one.name == "call-receiver"]
        assert sending
        assert all(one.daemon for one in sending)
        assert not set(threading.enumerate()) & set(pool_threads)

    def test_a_refusal_is_final_and_its_reason_is_kept(
        self, services: tuple[Receiver, Receiver], settings: Any
    ) -> None:
        services[0].status = 404
        settings.ALERT_URLS = json_url(services[0])
        fire()
        assert outbox.deliver_due() == 0
        (notice,) = collection_of(AlertNotice).find()
        assert notice["given_up_at"] is not None
        assert notice["error"] == "The receiver responded with the HTTP status 404."

    def test_a_sender_that_was_killed_between_channels_loses_nothing(
        self, services: tuple[Receiver, Receiver], settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings.ALERT_URLS = " ".join(map(json_url, services))
        insert, calls = outbox.insert_once, []

        def killed_at_the_second(notice: dict[str, Any]) -> None:
            if calls:
                raise KeyboardInterrupt
            calls.append(insert(notice))

        let_worker_be_silent(seconds=1000)
        with monkeypatch.context() as patch:
            patch.setattr(outbox, "insert_once", killed_at_the_second)
            with pytest.raises(KeyboardInterrupt):
                check()
        check()
        assert outbox.deliver_due() == 2
        assert [len(one.received) for one in services] == [1, 1]

    def test_what_the_former_release_left_reaches_every_channel_once(
        self, receiver: Receiver, services: tuple[Receiver, Receiver], settings: Any
    ) -> None:
        settings.ALERT_URLS = json_url(services[0])
        now = utc_now()
        event = {"kind": "resolved", "rule": "breaker_open", "action": "", "severity": "critical"}
        event |= {"message": "did not answer 0 times in a row.", "value": 0.0, "threshold": 5.0, "at": now}
        notice = {"event": event, "attempts": 1, "not_before": now, "created_at": now, "delivered_at": now}
        collection_of(Alert).insert_one(
            {"_id": "breaker_open", "rule": "breaker_open", "fired_at": now - timedelta(minutes=5)}
        )
        before = now - timedelta(hours=1)
        named_collection("alert_notices").insert_many(
            [notice | {"_id": ObjectId()}, notice | {"_id": ObjectId(), "created_at": before}]
        )
        assert (outbox.deliver_due(), outbox.deliver_due()) == (1, 0)
        assert receiver.received == []  # the former release has posted both
        (received,) = services[0].received
        assert received.json["title"] == "Resolved: The breaker of the collection service is open"
        assert received.json["message"].startswith("Back to normal; the alert lasted 5 min")
        (stored,) = collection_of(AlertNotice).find()
        assert [stored[name] for name in ("kind", "rule", "action")] == ["resolved", "breaker_open", ""]

    def test_what_the_former_release_left_is_delivered_once(self, receiver: Receiver) -> None:
        now = utc_now()
        event = {"kind": "fired", "rule": "queue_stuck", "action": "", "severity": "critical"}
        event |= {"message": "stuck", "value": 1.0, "threshold": 1.0, "at": now}
        notice = {"event": event, "attempts": 0, "not_before": now, "created_at": now}
        former = named_collection("alert_notices")
        former.insert_one(notice | {"_id": ObjectId(), "delivered_at": None})
        former.insert_one(notice | {"_id": ObjectId(), "delivered_at": now})
        later = {"not_before": now + timedelta(seconds=50)}  # it is being sent
        former.insert_one(notice | {"_id": ObjectId(), "delivered_at": None} | later)
        assert outbox.deliver_due() == 1
        assert outbox.deliver_due() == 0
        assert receiver.facts == [("queue_stuck", "firing")]
        assert former.count_documents({}) == 1


class TestSecrets:
    def test_no_line_no_error_and_no_document_has_an_address(
        self, settings: Any, written_log: Log, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(logging.getLogger(), "level", logging.DEBUG)
        settings.ALERT_URLS = f"json://user:{SECRET}@127.0.0.1:1/{SECRET} mailto://{SECRET} slack://{SECRET}"
        fire()
        assert outbox.deliver_due() == 0
        results = send_test(sent_by="chief")
        reasons = ["No connection (ConnectionError)."] + ["The address is not valid."] * 2
        assert [one.reason for one in results] == reasons
        stored = list(collection_of(AlertNotice).find())
        assert SECRET not in f"{written_log()}{results}{stored}"

    def test_the_name_of_a_channel_is_its_scheme_and_a_fingerprint(self, settings: Any) -> None:
        settings.ALERT_WEBHOOK_URL = f"https://alerts.example.com/{SECRET}"
        settings.ALERT_URLS = f"slack://{SECRET} tgram://{SECRET}"
        webhook, slack, telegram = list_channels()
        assert (webhook.id, webhook.label) == ("webhook", "webhook (alerts.example.com)")
        assert slack.id.startswith("slack-") and telegram.id.startswith("tgram-")
        assert slack.id.partition("-")[2] != telegram.id.partition("-")[2]

    def test_invalid_addresses_are_refused_by_a_check_that_prints_none(
        self, settings: Any, capsys: pytest.CaptureFixture[str]
    ) -> None:
        urls = ("json://127.0.0.1", f"slack://{SECRET}", f"nosuch://{SECRET}", f"json://h:99999/{SECRET}")
        settings.ALERT_URLS = service_urls(",".join(urls))
        with pytest.raises(SystemCheckError) as caught:
            call_command("check")
        text = str(caught.value) + capsys.readouterr().err
        for number in (2, 3, 4):
            assert f"(collector.E001) ALERT_URLS: address {number} of 4" in text
        assert "address 1 of 4" not in text
        assert SECRET not in text
        settings.ALERT_URLS = "json://127.0.0.1"
        call_command("check")


class TestTrial:
    def test_every_channel_reports_its_result(
        self, receiver: Receiver, services: tuple[Receiver, Receiver], settings: Any, written_log: Log
    ) -> None:
        services[1].status = 503
        settings.ALERT_URLS = " ".join(map(json_url, services))
        results = send_test(sent_by="chief")
        assert [one.is_delivered for one in results] == [True, True, False]
        assert results[2].reason == "The receiver responded with the HTTP status 503."
        assert receiver.received[0].json["status"] == "test"
        assert "chief" in receiver.received[0].json["message"]
        assert titles(services[0]) == ["Test notice"]
        let_it_be_due()
        assert outbox.deliver_due() == 0  # a failed test is not sent again
        (line,) = [one for one in written_log() if one["event"] == "alert_test_sent"]
        assert (line["sent_by"], len(line["delivered"]), len(line["failed"])) == ("chief", 2, 1)

    def test_a_channel_that_does_not_answer_is_reported(
        self, services: tuple[Receiver, Receiver], settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(service_url, "TOTAL_SECONDS", 0.5)
        services[0].is_dripping = True
        settings.ALERT_URLS = json_url(services[0])
        (result,) = send_test(sent_by="chief")
        assert (result.is_delivered, result.reason) == (False, "No response in time.")

    def test_without_channels(self) -> None:
        with pytest.raises(Conflict):
            send_test(sent_by="chief")
        assert collection_of(AlertNotice).count_documents({}) == 0

    def test_one_that_was_killed_is_sent_by_the_outbox(
        self, services: tuple[Receiver, Receiver], settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings.ALERT_URLS = json_url(services[0])

        def killed(*_: Any) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(outbox, "deliver", killed)
            with pytest.raises(KeyboardInterrupt):
                send_test(sent_by="chief")
        let_it_be_due()
        assert outbox.deliver_due() == 1
        assert titles(services[0]) == ["Test notice"]


def test_time_limits_add_up() -> None:
    assert timedelta(seconds=base.TOTAL_SECONDS) * 2 < outbox.CLAIM
