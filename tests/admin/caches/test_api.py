"""The addresses of the caches, as an operator uses them."""

from __future__ import annotations

from typing import Any

import pytest
import redis
from rest_framework.test import APIClient

from apps.core import process_state
from apps.core.caching.tiers import TieredCache, get_cache
from apps.core.storage.outages import redis_outage
from apps.mengla.runs import warm_up_work
from apps.mengla.runs.planning import plan_run
from apps.mengla.store.figures import build_figures
from apps.sync_tasks.selectors import find_run
from tests.admin.calls import (
    BASE,
    assert_hostile_is_invalid,
    assert_invalid,
    data_of,
    error_of,
)
from tests.mengla.support import hot, store, store_empty, trend

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.mongo,
    pytest.mark.redis,
    pytest.mark.usefixtures("sample_tree"),
]


LARGE = {"note": "x" * 2_000_000}


def stats(admin: APIClient) -> dict[str, Any]:
    found: dict[str, Any] = data_of(admin.get(f"{BASE}/cache/stats"))
    return found


def read(client: APIClient, query: Any) -> str:
    """Ask for figures and return the tier they came from."""
    response = client.get(
        "/api/mengla",
        {"action": query.action.value, "primaryCatId": query.cat_id, "timest": query.end.key}
        | ({"starRange": query.start.key, "endRange": query.end.key} if query.is_trend else {}),
    )
    assert response.status_code == 200, response.content
    return str(response.headers["X-MengLa-Source"])


def warm_up(admin: APIClient, **body: Any) -> dict[str, Any]:
    """Warm up as a worker would, and return the run as the API tells it."""
    response = admin.post(f"{BASE}/cache/warmup", body)
    run_id = data_of(response, 202)["sync_task_id"]
    assert response.headers["Location"] == f"/api/sync-tasks/{run_id}"
    plan_run(run_id)
    run: dict[str, Any] = data_of(admin.get(f"/api/sync-tasks/{run_id}"))
    return run


class TestStats:
    def test_an_empty_cache(self, admin: APIClient) -> None:
        found = stats(admin)
        assert found["l1"]["entries"] == found["l1"]["bytes"] == 0
        assert found["l2"] == {"groups": 0, "entries": 0, "bytes": 0, "is_complete": True}
        assert found["today"] == {
            "total": 0, "hits": 0, "misses": 0, "stale": 0, "by_tier": {"l1": 0, "l2": 0, "l3": 0},
            "hit_rate": None,
        }  # fmt: skip

    def test_every_entry_is_counted_once(self, admin: APIClient, redis_client: redis.Redis) -> None:
        for query in (hot("202501"), hot("202502"), trend("202501", "202503")):
            store(query)
        process_state.forget_all()  # another process
        questions = [hot("202501"), hot("202502"), trend("202501", "202503"), trend("202501", "202502")]
        for query in questions:
            assert read(admin, query) in ("l2", "l3")
        for query in questions:
            assert read(admin, query) == "l1"
        found = stats(admin)
        assert found["l1"]["entries"] == 4
        assert found["l1"]["bytes"] > 0
        assert found["l2"]["entries"] == 4 + 1  # the children of the category are an entry, too
        assert found["l2"]["groups"] == 3 + 1  # both ranges of the trend go together
        assert found["l2"]["is_complete"] is True
        keys = list(redis_client.scan_iter("mengla:data:*"))
        assert found["l2"]["bytes"] == sum(redis_client.memory_usage(key, samples=0) for key in keys)
        assert found["today"]["by_tier"]["l1"] == 4
        assert sum(found["today"]["by_tier"].values()) == found["today"]["hits"] == 8
        assert found["today"]["hit_rate"] == 1.0

    def test_a_miss_counts_against_the_rate(self, admin: APIClient) -> None:
        store(hot("202501"))
        read(admin, hot("202501"))
        assert admin.get("/api/mengla", {"primaryCatId": "1001", "timest": "202501"}).status_code == 202
        today = stats(admin)["today"]
        assert (today["misses"], today["hit_rate"]) == (1, 0.5)

    def test_versions_of_outdated_groups_are_no_entries(self, admin: APIClient) -> None:
        store(hot("202501"))
        read(admin, hot("202501"))
        get_cache().invalidate(hot("202501").cache_group)
        found = stats(admin)
        children = 1  # those of the category, as an entry of their own group
        assert found["l1"]["entries"] == found["l2"]["entries"] == found["l2"]["groups"] == children

    def test_entries_of_an_older_epoch_are_not_counted(self, admin: APIClient) -> None:
        store(hot("202501"))
        read(admin, hot("202501"))
        get_cache().clear_all()
        assert stats(admin)["l2"]["entries"] == 0

    def test_without_redis_it_says_so(self, admin: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_args: Any, **_kwargs: Any) -> Any:
            raise redis.ConnectionError("Error 111 connecting to 10.0.0.1:6379")

        monkeypatch.setattr(redis.connection.ConnectionPool, "get_connection", refuse)
        assert error_of(admin.get(f"{BASE}/cache/stats"), 503, "DEPENDENCY_UNAVAILABLE")["detail"] == "Redis"


class TestWarmUp:
    def test_readers_find_everything_in_l2(self, admin: APIClient) -> None:
        queries = [hot("202501"), hot("202502", cat_id="1002"), trend("202501", "202503")]
        for query in queries:
            store(query)
        get_cache().clear_all()
        run = warm_up(admin)
        assert (run["task_id"], run["status"], run["trigger"]) == ("cache_warmup", "COMPLETED", "api")
        assert run["progress"] == {
            "total": 3, "completed": 3, "failed": 0, "empty": 0, "cancelled": 0, "active": 0,
            "percent": 100.0, "per_minute": run["progress"]["per_minute"], "eta_seconds": None,
            "rate_collections": 3, "is_own_rate": True, "in_flight": 0,
        }  # fmt: skip
        process_state.forget_all()  # another process
        assert [read(admin, query) for query in queries] == ["l2"] * 3

    def test_the_newest_records_first_up_to_the_limit(self, admin: APIClient) -> None:
        for query in (hot("202501"), hot("202502"), hot("202503")):
            store(query)
        get_cache().clear_all()
        assert warm_up(admin, limit=2)["progress"]["completed"] == 2
        process_state.forget_all()  # another process
        tiers = [read(admin, query) for query in (hot("202501"), hot("202502"), hot("202503"))]
        assert tiers == ["l3", "l2", "l2"]

    def test_only_what_is_wanted(self, admin: APIClient) -> None:
        queries = [hot("202501"), hot("202501", cat_id="1002"), hot("2024"), trend("202501", "202501")]
        for query in queries:
            store(query)
        get_cache().clear_all()
        run = warm_up(admin, actions=["hot"], catIds=["1001", "1001"], granularities=["month"])
        assert run["progress"]["completed"] == 1
        process_state.forget_all()  # another process
        assert [read(admin, query) for query in queries] == ["l2", "l3", "l3", "l3"]

    def test_null_means_all_and_all_means_together(self, admin: APIClient) -> None:
        store(hot("202501"))
        store(hot("202501", cat_id=""))
        get_cache().clear_all()
        assert warm_up(admin, actions=None, catIds=None, granularities=None)["progress"]["total"] == 2
        get_cache().clear_all()
        assert warm_up(admin, catIds=["all"])["progress"]["total"] == 1

    def test_what_is_empty_is_left_out(self, admin: APIClient) -> None:
        store_empty(hot("202501"))
        store(hot("202502"))
        get_cache().clear_all()
        run = warm_up(admin)
        assert (run["progress"]["total"], run["progress"]["completed"]) == (1, 1)
        assert run["skipped"] == {"empty": 1}

    def test_nothing_stored_is_done_at_once(self, admin: APIClient) -> None:
        run = warm_up(admin)
        assert (run["status"], run["progress"]["total"]) == ("COMPLETED", 0)

    def test_one_at_a_time(self, admin: APIClient) -> None:
        run_id = data_of(admin.post(f"{BASE}/cache/warmup", {}), 202)["sync_task_id"]
        assert run_id in error_of(admin.post(f"{BASE}/cache/warmup", {}), 409, "CONFLICT")["detail"]

    def test_a_cancelled_one_stops(self, admin: APIClient) -> None:
        store(hot("202501"))
        get_cache().clear_all()
        run_id = data_of(admin.post(f"{BASE}/cache/warmup", {}), 202)["sync_task_id"]
        assert data_of(admin.post(f"/api/sync-tasks/{run_id}/cancel"))["status"] == "CANCELLED"
        plan_run(run_id)
        assert stats(admin)["l2"]["entries"] == 0

    def test_long_questions_end_the_plan_before_it_is_too_large(
        self, admin: APIClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for number in range(30):
            store(hot("202501", extra={"note": f"{number:02}" + "x" * 1900}))
        with monkeypatch.context() as patch:
            patch.setattr(warm_up_work, "_MAX_PLAN_BYTES", 20_500)
            run = warm_up(admin)
        assert (run["status"], run["progress"]["total"], run["progress"]["completed"]) == (
            "COMPLETED",
            10,
            10,
        )
        # Without a bound no document would hold them; the run ends, and does not stay RUNNING.
        monkeypatch.setattr(warm_up_work, "_MAX_PLAN_BYTES", float("inf"))
        monkeypatch.setattr(warm_up_work, "list_newest_queries", lambda _: [hot("202501", extra=LARGE)] * 9)
        run = warm_up(admin)
        assert (run["status"], run["error_message"]) == (
            "FAILED",
            "The plan cannot be read: DocumentTooLarge.",
        )

    def test_without_redis_it_waits_and_goes_on_later(
        self, admin: APIClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store(hot("202501"))
        get_cache().clear_all()
        run_id = data_of(admin.post(f"{BASE}/cache/warmup", {}), 202)["sync_task_id"]
        with monkeypatch.context() as without:
            without.setattr("apps.mengla.runs.planning._LEASE_SECONDS", 0)
            redis_outage.note()
            plan_run(run_id)
            run = find_run(run_id)
            assert run is not None
            assert run["status"] == "RUNNING"
        redis_outage.forget()
        plan_run(run_id)
        run = find_run(run_id)
        assert run is not None
        assert (run["status"], run["totals"]["completed"]) == ("COMPLETED", 1)

    def test_hostile_input(self, admin: APIClient) -> None:
        path, good = "/cache/warmup", {"limit": 1}
        assert_hostile_is_invalid(admin, path, good, "actions", "catIds", "granularities", "limit")
        assert_invalid(admin, path, {"limit": 0}, "limit")
        assert_invalid(admin, path, {"limit": 10_001}, "limit")
        assert_invalid(admin, path, {"limit": True}, "limit")
        assert_invalid(admin, path, {"catIds": ["77"]}, "catIds")
        for name in ("actions", "catIds", "granularities"):
            assert_invalid(admin, path, {name: []}, name)
        assert_invalid(admin, path, {"catIds": ["1001"] * 1001}, "catIds")
        assert_invalid(admin, path, {"granularities": ["week"]}, "granularities.0")
        assert_invalid(admin, path, {"actions": ["hot", "cold"]}, "actions.1")


class TestClearL1:
    def test_it_is_emptied_and_l2_is_kept(self, admin: APIClient) -> None:
        store(hot("202501"))
        read(admin, hot("202501"))
        assert read(admin, hot("202501")) == "l1"
        assert data_of(admin.post(f"{BASE}/cache/clear-l1")) == {"cleared": True}
        assert stats(admin)["l1"]["entries"] == 0
        assert read(admin, hot("202501")) == "l2"

    def test_another_process_learns_of_it(self, admin: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("apps.core.caching.tiers.SYNC_INTERVAL_SECONDS", 0)
        query = hot("202501")
        store(query)
        other = TieredCache(l1_max_entries=10, l1_max_bytes=1_000_000, l1_ttl_seconds=60)
        answer = build_answer_of(query)
        lookup = other.lookup("group", "field")
        other.fill(lookup.ticket, answer)
        assert other.lookup("group", "field").tier == "l1"
        data_of(admin.post(f"{BASE}/cache/clear-l1"))
        assert other.lookup("group", "field").tier == "l2"

    def test_what_this_process_remembers_of_an_outage_does_not_matter(self, admin: APIClient) -> None:
        store(hot("202501"))
        read(admin, hot("202501"))
        redis_outage.note()
        assert data_of(admin.post(f"{BASE}/cache/clear-l1")) == {"cleared": True}

    def test_without_redis_it_says_so(self, admin: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
        def lose_redis(*_arguments: Any, **_options: Any) -> Any:
            raise redis.ConnectionError

        monkeypatch.setattr(redis.Redis, "xadd", lose_redis)
        assert error_of(admin.post(f"{BASE}/cache/clear-l1"), 503, "DEPENDENCY_UNAVAILABLE")


def build_answer_of(query: Any) -> Any:
    from apps.core.storage.mongo import utc_now
    from apps.mengla.store.selectors import find_records

    built = build_figures(query, find_records(query), now=utc_now())
    assert built is not None
    return built.entry
