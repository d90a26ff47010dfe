"""The pages of the control room name categories: those to collect, to fill, and in the map."""

from __future__ import annotations

import html
import re
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.factories.categories import make_node, store_tree

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]
COUNT = 14
RANGE = {"action": "hot", "granularity": "month", "from": "2025-01", "to": "2025-06"}


@pytest.fixture(autouse=True)
def _tree() -> None:
    """House, with 14 lamps, and one category that has no name."""
    lamps = [
        make_node(100 + n, level1_id=10, catNameCn=f"家居>灯 {n}", catName=f"Дом>Лампа {n}")
        for n in range(COUNT)
    ]
    nameless = make_node(99, level1_id=10, catNameCn="", catName="")
    root = make_node(10, catNameCn="家居", catName="Дом")
    store_tree([{**root, "children": [*lamps, nameless]}])


def shown(client: Client, path: str, given: dict[str, Any]) -> tuple[str, int]:
    """The text of a page without its tags, and how many queries of it read the category tree."""
    with CaptureQueriesContext(connection) as queries:
        answer = client.get(f"{path}?{urlencode(given, doseq=True)}")
    assert answer.status_code == 200, answer.content
    text = " ".join(html.unescape(re.sub(r"<[^>]+>", " ", answer.content.decode())).split())
    return text, sum("categories_category" in one["sql"] for one in queries.captured_queries)


@pytest.mark.parametrize("path", ["/admin/coverage/fill/", "/admin/operations/collect/"])
def test_what_is_to_be_collected_is_named(site: Client, path: str) -> None:
    named, few = shown(site, path, RANGE | {"category": ["100", "99"]})
    assert "家居 › 灯 0 (100), 家居 › 99" in named
    many = [str(100 + number) for number in range(COUNT)]
    named, queries = shown(site, path, RANGE | {"category": many})
    assert "家居 › 灯 9 (109), 4 more" in named
    assert queries == few


def test_a_fill_of_an_unknown_category_says_which(site: Client) -> None:
    answer = site.get("/admin/coverage/fill/", RANGE | {"category": ["100", "77"]})
    assert answer.status_code == 400
    assert "There is no such category: 77." in answer.content.decode()


def test_a_category_without_a_name_is_its_id_once(site: Client) -> None:
    coverage, _queries = shown(site, "/admin/coverage/", RANGE | {"parent": "10"})
    operations, _queries = shown(site, "/admin/operations/", {})
    cell, _queries = shown(
        site,
        "/admin/coverage/cell/",
        {"action": "hot", "granularity": "month", "period": "202501", "category": "99"},
    )
    for page in (coverage, operations, cell):
        assert re.search(r"\b99\b", page)
        assert "99 99" not in page
        assert "家居>" not in page
        assert "None" not in page
    assert "灯 3 103" in coverage
    assert "灯 3 · Лампа 3 103" in operations
