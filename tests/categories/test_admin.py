from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from apps.categories import selectors
from apps.categories.models import Category
from tests.factories.categories import make_full_size_tree, make_node, store_tree

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]

ROW = "field-cat_id"
LIST = "admin:categories_category_changelist"


@pytest.fixture
def admin_client() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root", password="a long test password"))
    return client


def text_of(client: Client, url: str, **query: str) -> str:
    response = client.get(url, query)
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


def test_the_list_shows_filters_and_searches(admin_client: Client) -> None:
    store_tree()
    everything = text_of(admin_client, reverse(LIST))
    assert "15 rows" in everything
    assert "厨房与餐具" in everything
    assert "Кухня и посуда" in everything
    root = Category.objects.filter(level=1).first()
    assert root is not None
    count = Category.objects.filter(parent_id=root.pk).count()
    below = text_of(admin_client, reverse(LIST), parent_id=root.pk)
    assert below.count(ROW) == count > 0
    level1 = text_of(admin_client, reverse(LIST), level__exact="1")
    assert "3 rows" in level1
    for text in ("帐篷", "палатки", "4301"):
        found = text_of(admin_client, reverse(LIST), q=text)
        assert "1 category" in found
        assert ">帐篷<" in found
        assert ">Палатки<" in found
        assert ">户外与旅行 (4300)<" in found  # the parent, in a column of its own


@pytest.mark.parametrize("text", ["(", "$ne", "[a", "\\", "a" * 3000, "😀"])
def test_odd_searches_find_nothing_and_do_not_fail(admin_client: Client, text: str) -> None:
    store_tree()
    assert "0 rows" in text_of(admin_client, reverse(LIST), q=text)


def test_a_page_of_the_full_tree_is_bounded(admin_client: Client) -> None:
    store_tree(make_full_size_tree())
    page = text_of(admin_client, reverse(LIST))
    assert "671 rows" in page
    assert page.count(ROW) == 50


def test_a_category_is_shown_escaped_and_cannot_be_changed(admin_client: Client) -> None:
    store_tree([make_node(7, catName="<script>alert(1)</script>")])
    url = reverse("admin:categories_category_change", args=["7"])
    page = text_of(admin_client, url)
    assert "&quot;monthGmv&quot;: 72224350000.0" in page
    assert "<script>alert" not in page
    assert admin_client.post(url, {"name_cn": "x"}).status_code == 403
    for name, arguments in (("add", []), ("delete", ["7"])):
        address = reverse(f"admin:categories_category_{name}", args=arguments)
        assert admin_client.post(address, {"post": "yes"}).status_code == 403
    assert selectors.category_exists("7")


def test_the_tree_is_shown_whole_and_a_category_knows_its_place(admin_client: Client) -> None:
    store_tree()
    page = text_of(admin_client, reverse(LIST))
    tree = page[page.index('id="category-tree"') :]
    for category in Category.objects.all():
        assert reverse("admin:categories_category_change", args=[category.pk]) in tree
    child = Category.objects.filter(level=2).first()
    assert child is not None
    own_page = text_of(admin_client, reverse("admin:categories_category_change", args=[child.pk]))
    assert reverse("admin:categories_category_change", args=[child.parent_id]) in own_page
