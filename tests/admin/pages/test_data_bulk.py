"""The export of a range from the data page: its form, its file, and what it refuses."""

from __future__ import annotations

import html
import io
import re
from typing import Any

import openpyxl
import pytest
from django.test import Client
from django.urls import reverse

from apps.mengla.choices import Action
from apps.mengla.export import table
from tests.mengla.export.support import content_of, csv_rows_of, put, put_rankings
from tests.mengla.support import collections, hot, store

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.mongo,
    pytest.mark.redis,
    pytest.mark.usefixtures("sample_tree"),
]
PAGE, BULK = "/admin/data/", "/admin/data/bulk/"
GIVEN = {"action": "hot", "granularity": "month", "category": "1001", "from": "2025-01", "to": "2025-03"}


def shown_form(page: str) -> dict[str, list[str]]:
    """What the form would send as it is."""
    (form,) = re.findall(r'<form class="cp-form" id="bulk".*?</form>', page, re.DOTALL)
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r'<input[^>]* name="(\w+)"[^>]* value="([^"]*)"', form):
        found.setdefault(name, []).append(html.unescape(value))
    for name, options in re.findall(r'<select[^>]* name="(\w+)"[^>]*>(.*?)</select>', form, re.DOTALL):
        chosen = re.findall(r'<option value="([^"]*)" selected', options)
        found[name] = chosen or re.findall(r'<option value="([^"]*)"', options)[:1]
    return found


def test_the_form_is_for_what_the_page_shows_and_its_file_holds_it(site: Client) -> None:
    store(hot("202506"))
    page = site.get(PAGE, {"action": "hot", "category": "1001", "granularity": "month", "period": "2025-06"})
    form = shown_form(page.content.decode())
    assert form == {
        **{"action": ["hot"], "granularity": ["month"], "category": ["1001"], "scope": ["shown"]},
        **{"from": ["2024-07"], "to": ["2025-06"], "format": ["xlsx"]},
    }
    response = site.get(BULK, form)
    assert response.headers["Content-Disposition"].startswith("attachment;")
    book = openpyxl.load_workbook(io.BytesIO(content_of(response)))
    titles = [cell.value for cell in next(book["hot"].iter_rows())]
    assert titles[:6] == ["Category id", "Category", "Period", "Provisional", "Collected, UTC", "Rank"]
    assert "Sales" in titles
    assert response.headers["X-MengLa-Export-Missing"] == "11"


def test_the_workbook_is_in_the_language_of_its_reader(site: Client) -> None:
    put_rankings(["1001"], "202501", "202501", rows=1)
    response = site.get(BULK, GIVEN | {"format": "xlsx"}, HTTP_ACCEPT_LANGUAGE="zh-hans")
    book = openpyxl.load_workbook(io.BytesIO(content_of(response)))
    assert [cell.value for cell in next(book["hot"].iter_rows())][:5] == [
        *("类目 ID", "类目", "周期", "暂定", "采集时间（UTC）")
    ]


def test_the_other_end_of_a_range_has_the_label_of_its_reader(site: Client) -> None:
    given = GIVEN | {"from": "2025-04", "format": "csv"}
    page = site.get(BULK, given, HTTP_ACCEPT_LANGUAGE="zh-hans").content.decode()
    assert "不能晚于结束周期。" in page and "晚于 to" not in page


@pytest.mark.parametrize(
    ("scope", "cat_ids"),
    [("shown", ["1000"]), ("below", ["1001", "1002"]), ("level1", ["1000", "2000"])],
)
def test_the_categories_are_those_shown_or_below_or_of_level_1(
    site: Client, scope: str, cat_ids: list[str]
) -> None:
    put_rankings(["1000", "1001", "1002", "2000"], "202501", "202501", rows=1)
    response = site.get(BULK, GIVEN | {"category": "1000", "scope": scope, "format": "csv"})
    assert [row["catId"] for row in csv_rows_of(content_of(response))] == cat_ids


def test_further_categories_and_all_of_them_together_are_in_it(site: Client) -> None:
    put_rankings(["", "1001"], "202506", "202506", rows=1)
    given = {"action": "hot", "category": "all", "also": "1001", "granularity": "month", "period": "2025-06"}
    form = shown_form(site.get(PAGE, given).content.decode())
    assert form["category"] == ["all", "1001"]
    rows = csv_rows_of(content_of(site.get(BULK, form | {"format": ["csv"]})))
    assert [row["catId"] for row in rows] == ["all", "1001"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"to": "2025-13"}, "To: "),
        ({"from": "2025-04"}, "From: Must not be after To."),
        ({"scope": "below"}, "Category: There are no subcategories."),
        ({"to": "2099-01"}, "has not begun"),
        ({"category": "999999"}, "There is no such category"),
        ({"action": "cold"}, "Data set: "),
        ({"granularity": "week"}, "Granularity: "),
        ({"format": "doc"}, "ndjson"),
        ({"scope": "odd"}, "level1"),
        ({"nothing": "1"}, "nothing"),
    ],
)
def test_what_is_wrong_is_told_and_what_was_filled_in_stays(
    site: Client, changes: dict[str, str], told: str
) -> None:
    response = site.get(BULK, GIVEN | {"format": "csv"} | changes)
    assert response.status_code == 400
    page = html.unescape(response.content.decode())
    assert told in page
    form = shown_form(page)
    assert form["category"] == [changes.get("category", "1001")]
    assert form["from"] == [changes.get("from", "2025-01")]
    assert form["to"] == [changes.get("to", "2025-03")]


def test_too_many_rows_are_told_before_anything_is_written(site: Client, monkeypatch: Any) -> None:
    put_rankings(["1001"], "202501", "202501", rows=3)
    monkeypatch.setattr(table, "MAX_ROWS", 2)
    response = site.get(BULK, GIVEN | {"format": "csv"})
    assert response.status_code == 400 and b"has 3 rows" in response.content


def test_it_reads_only_and_needs_the_right_to_see_records(client: Client, looker: Client) -> None:
    put(Action.HOT, "1001", "202501", None)
    content_of(looker.get(BULK, GIVEN | {"format": "csv"}))
    assert collections() == []
    assert client.get(BULK, GIVEN).headers["Location"].startswith(reverse("admin:login"))
    assert looker.post(BULK, GIVEN).status_code == 405
