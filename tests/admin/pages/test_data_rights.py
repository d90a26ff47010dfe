"""The data page for who may look and put nothing into the queue."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from apps.core.caching.tiers import clear_all
from tests.admin.pages.test_data import EXPORT, HOT, PAGE, TREND, text
from tests.mengla.support import answer, claim, collections, hot, make_stale, points, store, trend

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.mongo,
    pytest.mark.redis,
    pytest.mark.usefixtures("sample_tree"),
]


@pytest.mark.parametrize("path", [PAGE, EXPORT])
def test_who_may_only_look_has_nothing_collected(viewer: Client, path: str) -> None:
    page = text(viewer.get(path, HOT | ({"format": "csv"} if path == EXPORT else {}), follow=True))
    assert "These figures are neither stored nor being collected." in page
    assert viewer.get(path, HOT | {"category": "777"}).status_code == 400
    assert collections() == []


def test_who_may_only_look_sees_what_others_have_collected(viewer: Client, site: Client) -> None:
    site.get(PAGE, HOT)
    (collection,) = collections()
    assert str(collection["_id"]) in text(viewer.get(PAGE, HOT))
    answer(claim(), {"hotList": {"code": 0, "data": {"list": [{"catName": "arrived"}]}}})
    assert "arrived" in text(viewer.get(PAGE, HOT))


def test_who_may_only_look_has_nothing_renewed(viewer: Client) -> None:
    store(hot())
    make_stale(hot())
    before = collections()
    for clear in (clear_all, lambda: None):  # from MongoDB, then from the memory
        clear()
        page = text(viewer.get(PAGE, HOT))
        assert ">stale<" in page
        assert "refreshing in the background" not in page
    assert collections() == before
    store(trend("202501", "202502"), points(p202501=5, p202502=6))
    count = len(collections())
    assert "2 of 6 periods have figures" in text(viewer.get(PAGE, TREND))
    assert len(collections()) == count


def test_the_permission_to_change_collections_has_it_collected(staff: Callable[..., Client]) -> None:
    staff("view_record", "change_collection").get(PAGE, HOT)
    assert len(collections()) == 1
