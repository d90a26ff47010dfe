"""The alerts in a real browser: all rules, a silence, a test notice, a phone, Chinese."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import expect

from apps.admin.alerts.words import MESSAGES, SIGNED_WRONGLY
from apps.admin.choices import AlertRule
from tests.browser.conftest import NewPage
from tests.browser.test_operating import NOTHING_STICKS_OUT
from tests.browser.test_pages import english_of
from tests.integration.stack import Stack

ALERTS = "/admin/alerts/"
PHONE = {"width": 390, "height": 844}


@pytest.fixture(autouse=True)
def _evaluated(site: Stack) -> Iterator[None]:
    """Let all rules be evaluated, and one of them fire."""
    assert site.post("/api/admin/alerts/check").status_code == 200
    began = datetime.now(UTC) - timedelta(minutes=12)
    fact = {"rule": "wrong_signatures", "action": "", "severity": "critical", "is_firing": True, "episode": 1}
    fact |= MESSAGES.stored(SIGNED_WRONGLY(count=5)) | {"is_told": True, "fired_at": began}
    fact |= {"value": 5.0, "threshold": 3.0, "resolved_at": None, "updated_at": began, "pending_events": []}
    site.database.alerts.replace_one({"_id": "wrong_signatures"}, fact, upsert=True)
    yield
    site.database.alerts.delete_one({"_id": "wrong_signatures"})
    site.database.alert_silences.delete_many({})


def test_all_rules_are_seen_and_one_is_silenced_before_it_fires(look: NewPage, site: Stack) -> None:
    watched = look()
    page = watched.open(ALERTS)
    watched.screenshot("alerts")
    rows = page.locator("tr[data-rule]")
    assert rows.count() == len(AlertRule) + 4
    healthy = page.locator('tr[data-rule="queue_stuck"]')
    expect(healthy).to_contain_text("Healthy")
    expect(healthy).to_contain_text("above 30 min")
    expect(page.get_by_text("No channel is configured: notices are only shown here.")).to_be_visible()
    healthy.get_by_role("link", name="Silence The queue is stuck").press("Enter")
    expect(page.get_by_role("heading", name="Silence “The queue is stuck” for 24 hours?")).to_be_visible()
    watched.check()
    page.get_by_role("link", name="4 hours", exact=True).click()
    expect(page.get_by_role("heading", name="for 4 hours?")).to_be_visible()
    page.get_by_label("Reason").fill("a planned stop")
    page.get_by_role("button", name="Silence").click()
    page.wait_for_url(f"**{ALERTS}")
    expect(healthy).to_contain_text("a planned stop")
    watched.check()
    healthy.get_by_role("link", name="End").click()
    watched.check()
    page.get_by_role("button", name="End the silence").click()
    page.wait_for_url(f"**{ALERTS}")
    expect(healthy.get_by_role("link", name="Silence")).to_be_visible()
    page.get_by_role("link", name="Webhooks have a wrong signature", exact=True).click()
    expect(page.get_by_role("heading", name="since")).to_be_visible()
    watched.check()


def test_on_a_phone_in_chinese_nothing_is_cut_off(new_page: NewPage) -> None:
    watched = new_page(language="zh-CN")
    page = watched.page
    page.set_viewport_size(PHONE)
    for path in (
        ALERTS,
        f"{ALERTS}empty_streak:hot/",
        f"{ALERTS}empty_streak:hot/silence/",
        f"{ALERTS}test/",
    ):
        watched.open(path)
        page.wait_for_function(NOTHING_STICKS_OUT)
        assert english_of(page) <= {"Slack", "Telegram", "Web", "Webhook"}, path  # names
    watched.visit(ALERTS)
    watched.screenshot("alerts-phone")
