"""The pages of the alerts: all rules, also when all is well; a silence before a firing; a test notice."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse
from django.utils.html import strip_tags

from apps.admin.alerts import outbox
from apps.admin.alerts.catalogue import DEFINITIONS, keys_of
from apps.admin.alerts.channels.notice_text import page_address
from apps.admin.alerts.silences import find_silence
from apps.admin.choices import AlertRule
from apps.admin.models import AlertEvent, AlertSilence
from apps.core.liveness.processes import note_heartbeat
from apps.core.storage.mongo import collection_of, named_collection, utc_now
from apps.core.time_texts import instant_text
from apps.mengla.choices import Action, CollectionStatus
from tests.admin.alerts.receiver import Receiver
from tests.admin.alerts.support import check, end_collections, let_worker_be_silent

pytestmark = [pytest.mark.mongo, pytest.mark.redis, pytest.mark.django_db]
ALERTS = "/admin/alerts/"


@pytest.fixture(autouse=True)
def _worker_lives(db: None) -> None:
    note_heartbeat()


def text(client: Client, path: str, *, status: int = 200) -> str:
    answer = client.get(path)
    assert answer.status_code == status, path
    return " ".join(html.unescape(answer.content.decode()).split())


class TestTheList:
    def test_every_rule_is_there_when_all_is_well(self, site: Client) -> None:
        assert "Not evaluated yet" in text(site, ALERTS)
        end_collections(20)
        check()
        shown = text(site, ALERTS)
        for rule in AlertRule:
            for key in keys_of(rule):
                assert f'data-rule="{key}"' in shown
            assert str(rule.label) in shown
            assert DEFINITIONS[rule].setting in shown
        assert "below 95 %" in shown
        assert "3 or more" in shown
        assert "No reads" not in shown
        assert "There are no earlier counts yet" in shown
        assert "No channel is configured: notices are only shown here." in shown
        assert "ALERT_URLS" in shown

    def test_a_firing_one_says_since_when(self, site: Client) -> None:
        let_worker_be_silent(seconds=1000)
        check()
        shown = text(site, ALERTS)
        assert "Since " in shown and "The last report of a worker is 100" in shown
        assert "16 min" in shown

    def test_old_values_are_said_to_be_old(self, site: Client) -> None:
        check()
        old = {"$set": {"evaluated_at": utc_now() - timedelta(minutes=10)}}
        named_collection("alert_checks").update_one({"_id": "readings"}, old)
        assert "the values are old" in text(site, ALERTS)

    def test_an_outage_of_mongodb_leaves_the_page(self, site: Client, mongo_gone: Callable[[], None]) -> None:
        site.get(ALERTS)
        mongo_gone()
        assert site.get(ALERTS).status_code in (200, 503)

    def test_who_may_not_see_alerts(self, staff: Callable[..., Client]) -> None:
        assert staff("view_record").get(ALERTS).status_code == 403
        looker = staff("view_alert")
        assert "/silence/" not in text(looker, ALERTS)
        for path in ("test/", "queue_stuck/silence/", "queue_stuck/silence/end/"):
            for ask in (looker.get, looker.post):
                assert ask(ALERTS + path).status_code == 403


class TestARule:
    def test_its_page_has_evidence_and_history(self, site: Client) -> None:
        end_collections(3, CollectionStatus.EMPTY, action=Action.HOT, minutes_ago=2)
        check()
        end_collections(1, action=Action.HOT)
        check()
        shown = text(site, f"{ALERTS}empty_streak:hot/")
        assert "The last 3 answers were empty." in shown
        assert "Answers have figures again" in shown
        assert "/admin/mengla/collection/?status=EMPTY&action=hot" in shown
        assert "The last 3 answers" not in text(site, f"{ALERTS}empty_streak:high/")

    def test_a_long_history_says_that_it_is_cut(self, site: Client) -> None:
        end_collections(3, CollectionStatus.EMPTY, action=Action.HOT, minutes_ago=2)
        check()
        history = collection_of(AlertEvent)
        event = history.find_one({"rule": "empty_streak"})
        history.insert_many([event | {"_id": f"copy {number}"} for number in range(19)])
        assert "Only the newest" not in text(site, f"{ALERTS}empty_streak:hot/")
        history.insert_one(event | {"_id": "another copy"})
        assert "Only the newest 20 are shown." in text(site, f"{ALERTS}empty_streak:hot/")

    def test_the_list_of_failures_has_the_window_of_the_rule(self, site: Client) -> None:
        end_collections(2, CollectionStatus.FAILED, minutes_ago=50)
        end_collections(3, CollectionStatus.FAILED, minutes_ago=70)
        shown = text(site, f"{ALERTS}low_success_rate/")
        (address,) = re.findall(r'href="(/admin/mengla/collection/[^"]*ended[^"]*)"', shown)
        assert len(site.get(address).context["cl"].result_list) == 2

    def test_all_evidence_is_there(self, site: Client) -> None:
        for rule in AlertRule:
            for one in DEFINITIONS[rule].evidence_of("hot" if DEFINITIONS[rule].is_by_action else ""):
                assert site.get(f"/admin/{one.path}").status_code == 200, one.path

    def test_the_address_in_a_notice_is_that_of_the_page(self, settings: Any) -> None:
        settings.APP_BASEURL = "https://collector.example.com"
        for event in ({"rule": "queue_stuck", "action": ""}, {"rule": "empty_streak", "action": "hot"}):
            key = ":".join(filter(None, event.values()))
            path = page_address(event).removeprefix("https://collector.example.com")
            assert path.replace("%3A", ":") == reverse("admin:collector_alert_rule", args=[key])

    @pytest.mark.parametrize("key", ["nope", "queue_stuck:hot", "empty_streak:no", "a" * 500, "%00", "规则"])
    def test_an_unknown_rule(self, site: Client, key: str) -> None:
        for path in ("", "silence/", "silence/end/"):
            assert site.get(f"{ALERTS}{key}/{path}").status_code == 404

    def test_a_rule_of_data_sets_leads_to_the_list(self, site: Client) -> None:
        assert site.get(f"{ALERTS}empty_streak/").status_code == 302


class TestSilence:
    def test_a_rule_that_never_fired_is_silenced_after_a_question(self, site: Client) -> None:
        address = f"{ALERTS}queue_stuck/silence/"
        assert "Silence “The queue is stuck” for 24 hours?" in text(site, address)
        assert "for 1 hour?" in text(site, f"{address}?hours=1")
        assert find_silence(AlertRule.QUEUE_STUCK) is None
        assert site.post(address, {"hours": "4", "reason": "we move <b>"}).status_code == 302
        silence = find_silence(AlertRule.QUEUE_STUCK)
        assert silence is not None
        assert (silence["silenced_by"], silence["reason"]) == ("chief", "we move <b>")
        assert timedelta(hours=3.9) < silence["silenced_until"] - utc_now() <= timedelta(hours=4)
        for path in (ALERTS, "/admin/collector_admin/alertsilence/"):
            assert "we move &lt;b&gt;" in site.get(path).content.decode()
        asked = text(site, f"{address}?hours=1")
        assert f"It is silenced until {instant_text(silence['silenced_until'])}, by chief." in asked
        assert "The new silence replaces it and ends earlier." in asked
        assert "ends earlier" not in text(site, f"{address}?hours=24")
        rule_page = " ".join(strip_tags(text(site, f"{ALERTS}queue_stuck/")).split())
        assert "by chief we move" in rule_page
        assert site.post(address, {}).status_code == 400
        assert find_silence(AlertRule.QUEUE_STUCK) == silence
        end = f"{ALERTS}queue_stuck/silence/end/"
        assert "End the silence of “The queue is stuck”?" in text(site, end)
        assert site.post(end).status_code == 302
        assert find_silence(AlertRule.QUEUE_STUCK) is None
        assert "The rule is not silenced." in text(site, end)
        assert site.post(end).status_code == 302
        assert [one.object_id for one in LogEntry.objects.all()] == ["queue_stuck"] * 2

    def test_one_data_set_alone(self, site: Client) -> None:
        site.post(f"{ALERTS}empty_streak:hot/silence/", {"hours": "1"})
        assert find_silence(AlertRule.EMPTY_STREAK) is None
        assert find_silence(AlertRule.EMPTY_STREAK, "hot") is not None
        site.defaults["HTTP_ACCEPT_LANGUAGE"] = "zh-CN"
        assert "要将“采集结果全为空（热销榜）”静默 4 小时吗？" in text(
            site, f"{ALERTS}empty_streak:hot/silence/?hours=4"
        )

    @pytest.mark.parametrize("hours", ["", "0", "-1", "721", "1.5", "x", "９", "9" * 400, "1e1", " "])
    def test_no_such_hours(self, site: Client, hours: str) -> None:
        answer = site.post(f"{ALERTS}queue_stuck/silence/", {"hours": hours})
        assert answer.status_code == 400
        assert "a whole number from 1 to 720" in answer.content.decode()
        assert site.get(f"{ALERTS}queue_stuck/silence/", {"hours": hours}).status_code == 400
        assert collection_of(AlertSilence).count_documents({}) == 0

    @pytest.mark.parametrize("reason", ["x" * 201, "a\x00b", "a\x1bb"])
    def test_no_such_reason(self, site: Client, reason: str) -> None:
        answer = site.post(f"{ALERTS}queue_stuck/silence/", {"hours": "1", "reason": reason})
        assert answer.status_code == 400
        assert collection_of(AlertSilence).count_documents({}) == 0

    def test_all_that_is_wrong_is_told_and_kept(self, site: Client) -> None:
        given = {"hours": "soon", "reason": "y" * 300}
        page = site.post(f"{ALERTS}queue_stuck/silence/", given).content.decode()
        for name, value in given.items():
            assert re.search(rf'name="{name}"[^>]* aria-describedby="fault-{name}"', page)
            assert f'value="{value}"' in page
            assert f'id="fault-{name}"' in page


class TestTheTest:
    def test_it_is_sent_after_a_question_and_reports_each_channel(
        self, site: Client, receiver: Receiver, settings: Any
    ) -> None:
        settings.ALERT_URLS = "json://user:s3cret@127.0.0.1:1/s3cret"
        assert "Send a test notice to 2 channels?" in text(site, f"{ALERTS}test/")
        assert receiver.received == []
        answer = site.post(f"{ALERTS}test/")
        shown = " ".join(answer.content.decode().split())
        assert "Delivered" in shown and "webhook (127.0.0.1)" in shown
        assert "No connection (ConnectionError)." in shown
        assert receiver.received[0].json["status"] == "test"
        assert str(LogEntry.objects.get().get_change_message()) != ""
        shown += text(site, ALERTS) + text(site, "/admin/collector_admin/alertnotice/")
        assert "Test notice" in shown
        assert "s3cret" not in shown
        assert outbox.deliver_due() == 0

    def test_without_channels(self, site: Client) -> None:
        assert "No channel is configured" in text(site, f"{ALERTS}test/")
        assert site.post(f"{ALERTS}test/").status_code == 409


def test_the_menu_leads_to_everything(site: Client) -> None:
    shown = text(site, "/admin/mengla/record/")
    for path in (ALERTS, *(f"/admin/collector_admin/alert{one}/" for one in ("silence", "notice", "event"))):
        assert f'href="{path}"' in shown
