"""The addresses that delete, as an operator uses them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from rest_framework.test import APIClient

from apps.admin.data import views
from apps.core.storage.mongo import named_collection, utc_now
from apps.core.storage.outages import mongo_outage
from tests.admin.calls import BASE, assert_hostile_is_invalid, assert_invalid, data_of, error_of
from tests.mengla.support import hot, records, store

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.mongo,
    pytest.mark.redis,
    pytest.mark.usefixtures("sample_tree"),
]

PURGE = {"confirm": True, "targets": ["mongodb", "redis", "l1"]}


def put_stranger(**fields: Any) -> Any:
    """Store another, older document for the best sellers of January 2025."""
    document = {"action": "hot", "catId": "1001", "dateType": "month", "timest": "2025-01"}
    written = {"data": [1], "updated_at": utc_now() - timedelta(days=1)}
    return named_collection("mengla_data").insert_one({**document, **written, **fields}).inserted_id


class TestPurge:
    def test_it_tells_what_it_has_deleted(self, admin: APIClient) -> None:
        store(hot("202501"))
        assert data_of(admin.post(f"{BASE}/data/purge", PURGE)) == {
            "records": 1,
            "collections": 1,
            "sync_tasks": 0,
            "caches_cleared": True,
            "l1_cleared": True,
            "is_complete": True,
        }
        assert records() == {}
        assert admin.get("/api/mengla", {"primaryCatId": "1001", "timest": "202501"}).status_code == 202
        assert data_of(admin.get("/api/auth/me"))
        assert data_of(admin.get("/api/categories"))

    def test_only_the_caches(self, admin: APIClient) -> None:
        store(hot("202501"))
        reported = data_of(admin.post(f"{BASE}/data/purge", PURGE | {"targets": ["l1"]}))
        assert (reported["records"], reported["caches_cleared"], reported["l1_cleared"]) == (0, False, True)
        assert len(records()) == 1

    def test_it_may_be_repeated(self, admin: APIClient) -> None:
        for _ in range(2):
            assert data_of(admin.post(f"{BASE}/data/purge", PURGE))["is_complete"] is True

    def test_too_much_for_one_time(self, admin: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(views, "_MAX_SECONDS", 0.0)
        store(hot("202501"))
        assert data_of(admin.post(f"{BASE}/data/purge", PURGE))["is_complete"] is False

    def test_only_when_it_is_meant(self, admin: APIClient) -> None:
        store(hot("202501"))
        path = "/data/purge"
        assert_hostile_is_invalid(admin, path, PURGE, "confirm", "targets")
        assert_invalid(admin, path, {}, "confirm", "targets")
        for confirm in (False, None, 1, "true"):
            assert_invalid(admin, path, PURGE | {"confirm": confirm}, "confirm")
        for targets in ([], None, "mongodb", ["users"], ["mongodb", "tokens"], ["l1"] * 4):
            reported = error_of(
                admin.post(BASE + path, PURGE | {"targets": targets}), 400, "VALIDATION_ERROR"
            )
            assert any(field.startswith("targets") for field in reported["fields"])
        assert len(records()) == 1


class TestDuplicates:
    def test_they_are_only_counted_by_default(self, admin: APIClient) -> None:
        store(hot("202501"))
        stranger = put_stranger()
        for body in ({}, {"apply": False}):
            reported = data_of(admin.post(f"{BASE}/duplicates/remove", body))
            [example] = reported.pop("examples")
            assert reported == {"applied": False, "groups": 1, "duplicates": 1, "deleted": 0, "left_alone": 0}
            assert example == {
                "action": "hot",
                "catId": "1001",
                "dateType": "month",
                "period": "202501",
                "kept": "hot:1001:month:202501",
                "duplicate": str(stranger),
            }
        assert len(records()) == 2

    def test_they_are_deleted_on_request(self, admin: APIClient) -> None:
        store(hot("202501"))
        put_stranger()
        reported = data_of(admin.post(f"{BASE}/duplicates/remove", {"apply": True}))
        assert (reported["applied"], reported["deleted"]) == (True, 1)
        assert set(records()) == {"hot:1001:month:202501"}
        assert data_of(admin.post(f"{BASE}/duplicates/remove", {"apply": True}))["duplicates"] == 0

    def test_more_than_can_be_done_in_time_is_reported_and_is_no_outage(
        self, admin: APIClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(views, "_MAX_SECONDS", 0.0001)
        reported = error_of(admin.post(f"{BASE}/duplicates/remove", {}), 503, "DEPENDENCY_UNAVAILABLE")
        assert "manage.py remove_duplicates" in reported["message"]
        assert not mongo_outage.is_known

    def test_hostile_input(self, admin: APIClient) -> None:
        assert_hostile_is_invalid(admin, "/duplicates/remove", {}, "apply")
        for odd in (None, 1, 0, "true", "false"):
            assert_invalid(admin, "/duplicates/remove", {"apply": odd}, "apply")
