"""A custom collection: what it costs is told first, what was typed is kept, and the run is followed."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.utils.translation import override

from apps.admin.pages.operations import work_form
from apps.categories.models import Category
from apps.core.admin_base.history import change_text
from apps.sync_tasks.selectors import find_run, list_running
from tests.mengla.runs.support import identities_of, plan_now
from tests.mengla.support import collections, enqueue, hot, store

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.mongo,
    pytest.mark.redis,
    pytest.mark.usefixtures("sample_tree"),
]
PAGE = "/admin/operations/collect/"
WANTED = {"action": ["hot", "high"], "granularity": "month", "from": "2025-01", "to": "2025-03"}


def asked(client: Client, **given: Any) -> str:
    response = client.get(PAGE, WANTED | given)
    assert response.status_code == 200, response.content.decode()
    return html.unescape(" ".join(response.content.decode().split()))


def count_of(page: str) -> int:
    (count,) = re.findall(r'data-count="(\d+)"', page)
    return int(count)


def test_the_cost_is_told_before_anything_starts(site: Client) -> None:
    store(hot("202501"))  # of 1001; it is fresh
    page = asked(site, category=["1001", "2000"])
    assert "This queues 11 collections." in page
    assert "1 skipped, because they are up to date" in page
    assert "Estimated time" in page
    assert "2025-01 to 2025-03" in page
    assert collections() == [] or all(one["run_ids"] == [] for one in collections())
    assert list_running(10) == []
    assert not LogEntry.objects.exists()


def test_the_time_is_unknown_without_an_answer_and_left_out_with_nothing_to_collect(
    site: Client, settings: Any
) -> None:
    settings.COLLECT_INTERVAL_SECONDS = 0.0
    page = asked(site, category=["1001"])
    assert "unknown, because no answer arrived within the last hour" in page
    assert "per minute" not in page
    settings.COLLECT_INTERVAL_SECONDS = 2.0
    assert "at 30.0 per minute – at best" in asked(site, category=["1001"])
    for month in ("202501", "202502", "202503"):
        store(hot(month))
    page = asked(site, category=["1001"], action="hot")
    assert "Nothing to collect" in page and "Estimated time" not in page


def test_force_collects_fresh_figures_too(site: Client) -> None:
    store(hot("202501"))
    page = asked(site, category=["1001", "2000"], force="on")
    assert count_of(page) == 12
    assert "skipped" not in page


def test_subcategories_do_not_repeat_the_name_of_their_parent(site: Client) -> None:
    Category.objects.filter(cat_id="1001").update(name_cn="厨房>锅具")
    page = html.unescape(site.get(PAGE).content.decode())
    assert "锅具" in page
    assert "厨房>" not in page


def test_no_category_means_level_1_and_their_subcategories_come_on_demand(site: Client) -> None:
    assert count_of(asked(site)) == 2 * 2 * 3
    assert count_of(asked(site, level2="on")) == 6 * 2 * 3
    assert count_of(asked(site, level2="on", category="1000")) == 3 * 2 * 3
    assert count_of(asked(site, level2="on", category=["1000", "1001", "all"])) == 4 * 2 * 3


@pytest.mark.parametrize(
    ("granularity", "start", "end", "periods"),
    [
        ("day", "2025-01-01", "2025-01-31", 31),
        ("month", "2025-06-01", "2025-06-30", 1),
        ("quarter", "2025-Q1", "2025Q2", 2),
        ("year", "2023", "2025", 3),
        ("month", "", "2025-06", 1),  # a blank start is the end
        ("month", "", "", 1),  # the latest complete period
    ],
)
def test_every_form_of_a_period(site: Client, granularity: str, start: str, end: str, periods: int) -> None:
    given = {"granularity": granularity, "from": start, "to": end, "action": "hot", "category": "1001"}
    assert count_of(asked(site, **given)) == periods


def test_a_start_leads_to_the_page_of_the_run_and_is_in_the_history(site: Client) -> None:
    response = site.post(PAGE, WANTED | {"category": "1001", "force": "on"})
    (run,) = list_running(10)
    assert response.headers["Location"] == f"/admin/sync_tasks/synctask/{run['_id']}/change/"
    assert (run["task_id"], run["requested_by"], run["trigger"]) == ("backfill", "chief", "manual")
    plan_now(str(run["_id"]))
    assert len(identities_of(str(run["_id"]))) == 6
    entry = LogEntry.objects.get()
    assert entry.object_id == str(run["_id"])
    assert change_text(entry) == (
        "Started collecting Best sellers, Blue-ocean ranking, 2025-01 to 2025-03. Categories: 1. "
        "Data that is up to date is collected again."
    )
    with override("zh-hans"):
        shown = change_text(entry)
    assert re.findall(r"[A-Za-z]{2,}", shown) == []


def test_a_second_one_is_refused_with_a_link_to_the_first(site: Client) -> None:
    site.post(PAGE, WANTED | {"category": "1001"})
    (run,) = list_running(10)
    response = site.post(PAGE, WANTED | {"category": "1002", "from": "2024-11"})
    page = response.content.decode()
    assert response.status_code == 409
    assert f"/admin/sync_tasks/synctask/{run['_id']}/change/" in page
    assert 'value="2024-11"' in page
    assert LogEntry.objects.count() == 1


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"action": []}, "Data set: Choose at least one data set."),
        ({"action": "bogus"}, "Data set: This is not one of the data sets."),
        ({"granularity": "week"}, "is not a granularity"),
        ({"granularity": ""}, "is not a granularity"),
        ({"from": "2025-13"}, "From:"),
        ({"to": "9" * 5000}, "To:"),
        ({"from": "2025-06"}, "From: Must not be after To."),
        ({"to": "2098-01", "from": "2098-01"}, "To:"),
        ({"granularity": "day", "from": "2010-01-01", "to": "2025-01-01"}, "more than 1100 periods"),
        ({"category": "77"}, "Category: There is no such category: 77."),
        ({"category": "\x00"}, "Category:"),
        ({"category": [str(number) for number in range(600)]}, "at most 500 categories"),
        ({"force": "maybe"}, "Collect again:"),
        ({"from": ["2025-01", "2025-02"]}, "From:"),
        ({"priority": "0"}, "priority"),
        ({"from": "abc", "to": "2026-13", "action": []}, "use 2025-06 or 202506. To: '2026-13' is"),
        ({"to": "2098-01", "from": "2098-01", "category": "77"}, "no such category: 77. To: 2098-01"),
    ],
)
def test_what_cannot_be_read_is_told_and_kept(site: Client, given: dict[str, Any], problem: str) -> None:
    for send in (site.get, site.post):
        response = send(PAGE, WANTED | {"category": "1002", "level2": "on"} | given)
        page = html.unescape(response.content.decode())
        assert response.status_code == 400
        assert problem in page
        assert 'name="level2" checked' in page
        if "category" not in given:
            assert 'value="1002" checked' in page
    assert list_running(10) == []
    assert not LogEntry.objects.exists()


def test_periods_of_another_granularity_are_converted_before_anything_starts(site: Client) -> None:
    given = WANTED | {"from": "2025-Q1", "to": "2025"}
    page = html.unescape(site.get(PAGE, given).content.decode())
    assert "2025-Q1 is a quarter. The figures shown are those of 2025-01." in page
    for name, shown in (("from", "2025-01"), ("to", "2025-12")):
        assert f'<input type="hidden" name="{name}" value="{shown}">' in page
    response = site.post(PAGE, given)  # which no page has shown
    assert response.status_code == 400
    assert 'aria-describedby="fault-from"' in response.content.decode()
    assert list_running(10) == []


def test_too_much_at_once_is_refused_with_its_time(site: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work_form, "MAX_COLLECTIONS", 11)
    for send in (site.get, site.post):
        response = send(PAGE, WANTED)
        assert response.status_code == 400
        page = response.content.decode()
        assert "up to 12 collections, which take about" in page
        assert "At most 11 can be started here" in page
    assert list_running(10) == []


def test_without_time_to_look_up_the_records_it_tells_the_most(
    site: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work_form, "MAX_READ_SECONDS", 0.000001)
    page = asked(site)
    assert "At most:" in page
    assert count_of(page) == 12
    assert "Start now" in page


def test_what_is_under_way_is_not_queued_twice(site: Client) -> None:
    enqueue(hot("202501"))
    enqueue(hot("202502"))
    one = {"action": "hot", "category": "1001", "from": "2025-01"}
    page = asked(site, **one, to="2025-03")
    assert count_of(page) == 1
    assert "2 more under way already" in page
    page = asked(site, **one, to="2025-02")
    assert "queued or in flight already" in page
    assert ">Start now<" not in page


def test_nothing_to_collect_has_no_button(site: Client) -> None:
    store(hot("202501"))
    page = asked(site, action="hot", category="1001", **{"from": "2025-01", "to": "2025-01"})
    assert "Nothing to collect" in page
    assert "Start now" not in page


def test_the_right_to_change_collections_is_enough(staff: Callable[..., Client]) -> None:
    client = staff("view_collection", "change_collection", "view_synctask")
    client.post(PAGE, WANTED)
    (run,) = list_running(10)
    assert find_run(str(run["_id"])) is not None
