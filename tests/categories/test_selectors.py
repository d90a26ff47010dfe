from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import connection

from apps.categories import selectors
from apps.categories.errors import CategoryNotFound
from apps.categories.models import Category
from apps.core.errors import InvalidInput
from tests.factories.categories import make_full_size_tree, make_node, make_tree, store_tree

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]

ODD_IDS = [
    "",
    "0",
    "-1",
    "007",
    "1.0",
    " 4201",
    "4201\n",
    "٤٢٠١",
    "４２０１",
    "9" * 500,
    "$ne",
    "null",
    "😀",
    "\0",
]


def test_without_an_import_there_is_nothing() -> None:
    assert selectors.list_all_ids() == []
    assert selectors.list_level1_ids() == []
    assert selectors.build_tree() == []
    assert not selectors.category_exists("4201")


def test_the_parts_of_the_tree() -> None:
    tree = store_tree()
    assert selectors.list_all_ids()
    assert selectors.list_level1_ids() == ["4200", "4300", "4400"]
    assert json.dumps(selectors.list_children("4300")) == json.dumps(tree[1]["children"])
    assert selectors.list_children("4301") == []
    assert json.dumps(selectors.get_category("4300")) == json.dumps(tree[1])
    assert selectors.get_category("4301") == {**tree[1]["children"][0], "children": []}


@pytest.mark.parametrize("cat_id", [*ODD_IDS, "4299"])
def test_unknown_and_odd_ids_are_simply_not_there(cat_id: str) -> None:
    store_tree()
    assert not selectors.category_exists(cat_id)
    assert selectors.list_children(cat_id) == []
    with pytest.raises(CategoryNotFound):
        selectors.get_category(cat_id)


def test_an_import_is_seen_at_once() -> None:
    store_tree()
    assert selectors.category_exists("4201")
    store_tree(make_full_size_tree())
    assert not selectors.category_exists("4201")
    assert selectors.category_exists("30000")


def test_children_are_found_by_the_index() -> None:
    store_tree(make_full_size_tree())
    plan = connection.database.command(
        "explain",
        {"find": Category._meta.db_table, "filter": {"parent_id": "1000"}, "sort": {"position": 1}},
        verbosity="executionStats",
    )
    assert plan["executionStats"]["nReturned"] == plan["executionStats"]["totalDocsExamined"] > 0
    assert "SORT" not in json.dumps(plan["queryPlanner"]["winningPlan"], default=str).replace('"SORT_KEY', "")


def test_unknown_ids_are_named_together_by_one_lookup(django_assert_num_queries: Any) -> None:
    store_tree(make_tree(level1_count=2, child_count=4))
    with django_assert_num_queries(1):
        selectors.check_categories(["1000", "1001", "", "1000"], field="cat_ids")
    with django_assert_num_queries(1), pytest.raises(InvalidInput) as caught:
        selectors.check_categories(["1000", "77", *ODD_IDS], field="cat_ids")
    assert set(caught.value.fields or {}) == {"cat_ids"}
    assert "77" in caught.value.message
    assert "1000" not in caught.value.message
    assert len(caught.value.message) < 500


def test_only_some_of_many_unknown_ids_are_named() -> None:
    with pytest.raises(InvalidInput) as caught:
        selectors.check_categories([str(number) for number in range(5000, 9000)], field="catId")
    assert len(caught.value.message) < 300


# --- Categories by name ---------------------------------------------------------------------------


def store_named() -> None:
    """Level 1: 10 住宅和花园, 20 鞋类, 30 鞋. Level 2: 11 厨房, 12 厨具 and 13 其他 of 10, 21 其他 of 20."""
    names = [
        (10, None, "住宅和花园", "Дом и сад"),
        (11, 10, "住宅和花园>厨房", "Дом и сад > Кухня"),
        (12, 10, "住宅和花园>厨具", "Дом и сад>Посуда"),
        (13, 10, "住宅和花园>其他", "Дом и сад>Другое"),
        (20, None, "鞋类", "Обувь"),
        (21, 20, "鞋类>其他", "Обувь>Другое"),
        (30, None, "鞋", "Shoes ﬁne"),
    ]
    nodes = [
        make_node(cat_id, level1_id=parent, catNameCn=cn, catName=ru) for cat_id, parent, cn, ru in names
    ]
    tree = [{**node, "children": []} for node in nodes if node["catId2"] == 0]
    for node in nodes:
        for root in tree:
            if node["catId2"] and node["catId1"] == root["catId"]:
                root["children"].append(node)
    store_tree(tree)


@pytest.mark.parametrize(
    ("text", "cat_id"),
    [
        ("10", "10"),
        ("住宅和花园", "10"),  # the whole name of level 1; it begins those of its children, too
        ("住宅", "10"),
        ("дом И САД", "10"),
        ("住宅和花园>厨房", "11"),
        ("住宅和花园 ＞ 厨房", "11"),
        ("дом и  сад>кухня", "11"),
        ("厨房", "11"),
        ("Пос", "12"),
        ("обувь", "20"),
        ("鞋类>其", "21"),
        ("鞋", "30"),
        ("shoes fine", "30"),  # the name has a ligature
        ("SHOES", "30"),
    ],
)
def test_a_category_by_name(text: str, cat_id: str) -> None:
    store_named()
    assert selectors.resolve_categories([text, "10"], field="category") == [cat_id, "10"]


@pytest.mark.parametrize(
    ("text", "cat_ids"),
    [
        ("１１", ["11"]),
        ("厨", ["11", "12"]),
        ("ДРУГ", ["13", "21"]),
        ("shoes  fine", ["30"]),
        ("nothing", []),
        ("住宅和花园", ["10"]),  # not also all below it
        ("住宅和花园>厨", ["11", "12"]),
        ("厨房 · кухня", ["11"]),
        ("厨房（кухня）", ["11"]),
        ("·", []),
    ],
)
def test_the_categories_whose_names_hold_a_text(text: str, cat_ids: list[str]) -> None:
    store_named()
    assert selectors.find_cat_ids(text) == cat_ids


@pytest.mark.parametrize(
    ("text", "candidates"),
    [
        ("厨", ["住宅和花园>厨房 (11)", "住宅和花园>厨具 (12)"]),
        ("其他", ["住宅和花园>其他 (13)", "鞋类>其他 (21)"]),
        ("друг", ["Дом и сад>Другое (13)", "Обувь>Другое (21)"]),  # in the language of the reader
        ("住宅和花园>", ["住宅和花园>厨房 (11)", "住宅和花园>厨具 (12)", "住宅和花园>其他 (13)"]),
    ],
)
def test_an_ambiguous_name_lists_its_candidates(text: str, candidates: list[str]) -> None:
    store_named()
    with pytest.raises(InvalidInput) as caught:
        selectors.resolve_categories([text], field="category")
    reported = f"{text} is ambiguous. It matches {len(candidates)} categories: {', '.join(candidates)}."
    assert caught.value.fields == {"category": [reported]}


@pytest.mark.parametrize("text", [*(one for one in ODD_IDS if one), "花园", "11 厨房", ">", "*", "1" * 20])
def test_unknown_names_are_refused(text: str) -> None:
    store_named()
    with pytest.raises(InvalidInput, match="There is no such category"):
        selectors.resolve_categories(["10", text], field="category")


def test_of_many_candidates_the_first_are_listed() -> None:
    store_tree(make_tree(level1_count=30, child_count=0))
    with pytest.raises(InvalidInput, match=r"matches 30 categories: .*, \.\.\.\.$"):
        selectors.resolve_categories(["类目"], field="category")


def test_short_names() -> None:
    store_named()
    assert selectors.own_names(["11", "20", "99"]) == {"11": "厨房", "20": "鞋类"}
