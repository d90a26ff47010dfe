"""Categories as texts: the name beside the id, the parents where they are needed, one look for many."""

from __future__ import annotations

from typing import Any

import pytest

from apps.categories.models import Category
from apps.categories.selectors import CategoryNames, NamedCategory, categories_text
from tests.factories.categories import make_node, store_tree

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]


@pytest.fixture
def tree() -> None:
    """Two categories of level 1; what the source has never left empty so far is emptied afterwards."""
    house = [make_node(11, level1_id=10, catNameCn="住宅和花园>厨房", catName="Дом и сад>Кухня")]
    house += [make_node(cat_id, level1_id=10) for cat_id in (12, 13, 14)]
    shoes = [make_node(21, level1_id=20, catNameCn="鞋")]
    store_tree(
        [
            {**make_node(10, catNameCn="住宅和花园", catName="Дом и сад"), "children": house},
            {**make_node(20, catName="Обувь"), "children": shoes},
        ]
    )
    for cat_id, name_cn, name_ru in (
        ("12", "", "Дом и сад>Сад"),
        ("13", "", ""),
        ("14", "住宅和花园>", ""),
        ("20", "", "Обувь"),
    ):
        Category.objects.filter(cat_id=cat_id).update(name_cn=name_cn, name_ru=name_ru)


@pytest.mark.usefixtures("tree")
@pytest.mark.parametrize(
    ("cat_id", "text", "path", "path_text"),
    [
        ("10", "住宅和花园 (10)", "住宅和花园", "住宅和花园 (10)"),
        ("11", "厨房 (11)", "住宅和花园 › 厨房", "住宅和花园 › 厨房 (11)"),
        ("12", "Сад (12)", "住宅和花园 › Сад", "住宅和花园 › Сад (12)"),
        ("13", "13", "住宅和花园 › 13", "住宅和花园 › 13"),  # without a name in either language
        ("14", "住宅和花园> (14)", "住宅和花园 › 住宅和花园>", "住宅和花园 › 住宅和花园> (14)"),
        ("21", "鞋 (21)", "Обувь › 鞋", "Обувь › 鞋 (21)"),
        ("99", "99", "99", "99"),  # no longer in the tree
        ("", "All categories", "All categories", "All categories"),
        ("$ne", "$ne", "$ne", "$ne"),
    ],
)
def test_a_category_has_its_name_and_its_id(cat_id: str, text: str, path: str, path_text: str) -> None:
    names = CategoryNames([cat_id])
    assert (names.text(cat_id), names.path(cat_id), names.path_text(cat_id)) == (text, path, path_text)


@pytest.mark.usefixtures("tree")
def test_a_category_without_a_name_has_none() -> None:
    cat_ids = ("13", "99", "")
    names = CategoryNames(cat_ids)
    assert [names.own(cat_id) for cat_id in cat_ids] == [""] * 3
    assert [NamedCategory("1", *names).has_name for names in (("", ""), ("", "x"), ("x", ""))] == [
        False,
        True,
        True,
    ]


@pytest.mark.usefixtures("tree")
def test_many_categories_take_one_query_for_each_level(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(2):
        names = CategoryNames(["11", "12", "13", "21", "11", "99", ""])
    with django_assert_num_queries(0):
        assert [names.own(cat_id) for cat_id in ("11", "12", "21", "10")] == [
            "厨房",
            "Сад",
            "鞋",
            "住宅和花园",
        ]
        assert names.path("21") == "Обувь › 鞋"
    with django_assert_num_queries(0):
        assert CategoryNames(["", "$ne"]).text("") == "All categories"


@pytest.mark.usefixtures("tree")
def test_some_categories_are_one_text(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(2):
        told = categories_text(["11", "13", "", "99"])
    assert told == "住宅和花园 › 厨房 (11), 住宅和花园 › 13, All categories, 99"
    assert categories_text([str(one) for one in range(100, 115)]).endswith("108, 109, 5 more")
    assert categories_text([]) == ""
