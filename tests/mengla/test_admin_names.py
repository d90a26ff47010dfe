"""The lists of the admin name their categories, look the names up once, and are searched by them."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.admin.utils import quote
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.core.storage.mongo import collection_of
from apps.mengla.models import Collection
from tests.factories.categories import make_node, store_tree
from tests.mengla.support import collections, enqueue, hot, records, store, store_empty
from tests.mengla.test_admin import COLLECTIONS, RECORDS, results, text

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]
COUNT = 45
KITCHEN, NAMELESS = "11", "12"


@pytest.fixture(autouse=True)
def _tree() -> None:
    """House, with a kitchen, a category without a name, and 45 lamps."""
    house = [make_node(11, level1_id=10, catNameCn="家居>厨房", catName="Дом>Кухня")]
    house += [make_node(12, level1_id=10, catNameCn="", catName="")]
    for n in range(COUNT):
        house.append(make_node(100 + n, level1_id=10, catNameCn=f"家居>灯 {n}", catName=f"Дом>Лампа {n}"))
    store_tree([{**make_node(10, catNameCn="家居", catName="Дом"), "children": house}])


def cells(page: str, field: str) -> list[str]:
    """The texts of one column of a list."""
    found = re.findall(rf"<t[dh][^>]*\bfield-{field}\b[^>]*>(.*?)</t[dh]>", page, re.DOTALL)
    return [" ".join(re.sub(r"<[^>]+>", " ", cell).split()) for cell in found]


def category_queries(client: Client, path: str, **query: Any) -> int:
    """How many queries of a request read the category tree."""
    with CaptureQueriesContext(connection) as queries:
        assert client.get(path, query).status_code == 200
    return sum("categories_category" in one["sql"] for one in queries.captured_queries)


@pytest.mark.parametrize(("path", "fill"), [(RECORDS, store), (COLLECTIONS, enqueue)])
def test_a_list_names_its_categories(site: Client, path: str, fill: Callable[..., object]) -> None:
    for cat_id in (KITCHEN, NAMELESS, "777", ""):
        fill(hot(cat_id=cat_id))
    page = text(site, path)
    assert sorted(cells(page, "category")) == ["12", "777", "All categories", "厨房 11"]
    assert 'title="家居 › 厨房"' in page
    assert "None" not in cells(page, "category")


@pytest.mark.parametrize(("path", "fill"), [(RECORDS, store), (COLLECTIONS, enqueue)])
def test_a_list_looks_its_names_up_once(site: Client, path: str, fill: Callable[..., object]) -> None:
    for cat_id in ("100", "101"):
        fill(hot(cat_id=cat_id))
    few = category_queries(site, path)
    for number in range(2, 12):
        fill(hot(cat_id=str(100 + number)))
    assert category_queries(site, path) == few == 2  # one for each level


@pytest.mark.parametrize(
    ("cat_id", "title", "shown"),
    [
        (KITCHEN, "Best sellers, 家居 › 厨房, 2025-06", "家居 › 厨房 (11)"),
        (NAMELESS, "Best sellers, 家居 › 12, 2025-06", "家居 › 12"),
        ("777", "Best sellers, 777, 2025-06", "777"),
        ("", "Best sellers, All categories, 2025-06", "All categories"),
    ],
)
def test_the_page_of_a_row_is_named_after_its_figures(
    site: Client, cat_id: str, title: str, shown: str
) -> None:
    store(hot(cat_id=cat_id))
    (key,) = records()
    (collection,) = collections()
    for path in (f"{RECORDS}{quote(key)}/change/", f"{COLLECTIONS}{collection['_id']}/change/"):
        page = text(site, path)
        assert f"<title> {title} | " in page
        assert f">{shown}<" in page
    site.defaults["HTTP_ACCEPT_LANGUAGE"] = "zh-CN"
    assert "热销" in text(site, path)[:2000]


def test_a_confirmation_names_every_row_by_one_look(site: Client) -> None:
    store_empty(hot(cat_id=KITCHEN))
    for number in range(COUNT):
        enqueue(hot(cat_id=str(100 + number)))
    chosen = [str(one["_id"]) for one in collections()]
    with CaptureQueriesContext(connection) as queries:
        answer = site.post(COLLECTIONS, {"action": "retry", "_selected_action": chosen})
    page = html.unescape(answer.content.decode())
    assert "Retry Best sellers, 家居 › 厨房, 2025-06?" in page
    assert "Best sellers, 家居 › 灯 7, 2025-06: " in page  # why it cannot be retried now
    assert "hot:107:" not in page
    assert sum("categories_category" in one["sql"] for one in queries.captured_queries) <= 4


@pytest.mark.parametrize(("path", "fill"), [(RECORDS, store), (COLLECTIONS, enqueue)])
def test_a_list_is_searched_by_the_name_of_a_category(
    site: Client, path: str, fill: Callable[..., object]
) -> None:
    for cat_id in (KITCHEN, NAMELESS, "101", "102", "110"):
        fill(hot(cat_id=cat_id))
    searches = {
        "厨房": [KITCHEN],
        "кухня": [KITCHEN],
        "灯 1": ["101", "110"],
        KITCHEN: [KITCHEN],
        NAMELESS: [NAMELESS],
        "nothing": [],
        "$ne": [],
    }
    for searched, found in searches.items():
        rows = results(site, path, q=searched)
        assert sorted(row.split(":")[1] for row in rows) == found, searched


@pytest.mark.parametrize("path", [RECORDS, COLLECTIONS])
def test_a_name_of_too_many_categories_asks_for_more_of_it(site: Client, path: str) -> None:
    enqueue(hot(cat_id="101"))
    page = text(site, path, q="灯")
    assert f"{COUNT} categories have “灯” in their names. Enter more of the name." in page
    assert cells(page, "category") == []


def test_an_execution_id_of_digits_is_found_before_a_category(site: Client) -> None:
    enqueue(hot(cat_id=KITCHEN))
    enqueue(hot(cat_id="101"))
    collection_of(Collection).update_one({"cat_id": "101"}, {"$set": {"execution_id": KITCHEN}})
    assert results(site, COLLECTIONS, q=KITCHEN) == ["hot:101:month:202506"]


@pytest.fixture
def examined() -> Iterator[Callable[[], int]]:
    """How many documents the largest query of collections has examined."""
    database = collection_of(Collection).database
    database.command("profile", 2)

    def most() -> int:
        database.command("profile", 0)
        asked = database["system.profile"].find({"ns": collection_of(Collection).full_name})
        return max(one.get("docsExamined", 0) for one in asked)

    yield most
    database.command("profile", 0)
    database["system.profile"].drop()


def test_a_search_by_category_reads_what_it_shows(site: Client, examined: Callable[[], int]) -> None:
    enqueue(hot(cat_id=KITCHEN))
    (document,) = collections()
    del document["_id"]
    copies = [
        document | {"active_key": None, "cat_id": cat_id, "identity": f"hot:{cat_id}:month:{number}"}
        for cat_id in (KITCHEN, "105")
        for number in range(200)
    ]
    collection_of(Collection).insert_many(copies)
    assert len(results(site, COLLECTIONS, q="厨房")) == 50
    assert examined() <= 60


def test_the_figures_of_a_record_name_their_categories_by_one_look(site: Client) -> None:
    rows = [
        {"catName": "a", "catId1": 10, "catId2": "11", "catId3": 555},
        {"catName": "b", "catId1": 10, "catId2": 12, "catId3": 0},
        {"catName": "c", "catId1": None, "catId2": True, "catId3": [7]},
    ]
    store(hot(cat_id=KITCHEN), {"hotList": {"code": 0, "data": {"list": rows}}})
    (key,) = records()
    path = f"{RECORDS}{quote(key)}/change/"
    page = text(site, path)
    for cell in ("家居 (10)", "厨房 (11)", "555", "12", "–", "True", "[7]"):
        assert f"<td>{cell}</td>" in page
    few = category_queries(site, path)
    more = [{"catName": "d", "catId1": 10, "catId2": 100 + number} for number in range(COUNT)]
    store(hot(cat_id=KITCHEN), {"hotList": {"code": 0, "data": {"list": rows + more}}})
    assert "<td>灯 44 (144)</td>" in text(site, path)
    assert category_queries(site, path) == few
    site.defaults["HTTP_ACCEPT_LANGUAGE"] = "zh-CN"
    assert "<td>厨房（11）</td>" in text(site, path)
