"""The purge: it deletes what was collected, and nothing else."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.core.management import CommandError, call_command
from django.db import connection
from pymongo.errors import AutoReconnect

from apps.auth import services as auth
from apps.categories.models import Category
from apps.core.caching.tiers import build_entry, get_cache
from apps.core.errors import DependencyUnavailable
from apps.core.periods import parse_period
from apps.core.scheduling.schedules import sync_schedules
from apps.core.storage.flags import SCHEDULER_PAUSED, set_flag
from apps.core.storage.mongo import collection_of, utc_now
from apps.mengla.choices import Action
from apps.mengla.maintenance import purge as service
from apps.mengla.maintenance.purge import Purged, PurgeTarget, count_collected, purge
from apps.mengla.models import Collection, Record
from apps.mengla.runs.collect import Order, Selection, backfill_plan, start
from apps.mengla.runs.planning import plan_run
from apps.panels import services as panels
from apps.panels.models import PanelLayout
from apps.sync_tasks.models import SyncTask
from apps.sync_tasks.selectors import find_run
from tests.factories.categories import Node
from tests.mengla.runs.support import end_all
from tests.mengla.support import claim, collections, enqueue, hot, records, statuses, store, store_empty

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]

ALL = frozenset(PurgeTarget)
COLLECTED = {"mengla_data", "mengla_collections", SyncTask._meta.db_table}


@pytest.fixture(autouse=True)
def _tree(sample_tree: list[Node]) -> None:
    """Level 1: 1000 and 2000."""


def backfill(months: str = "202503") -> str:
    """Start and plan a run over the best sellers of one category, from January 2025."""
    selection = Selection(("1001",), (Action.HOT,))
    plan = backfill_plan(parse_period("202501"), parse_period(months), selection=selection)
    started = start(plan, Order("tests"))
    plan_run(started.run_id)
    return started.run_id


def everything_else() -> dict[str, list[Any]]:
    """All documents of all collections that hold nothing collected."""
    database = connection.database
    names = set(database.list_collection_names()) - COLLECTED
    return {name: list(database[name].find().sort("_id")) for name in sorted(names)}


def clean(targets: frozenset[PurgeTarget] = ALL, **options: Any) -> Purged:
    return purge(targets=targets, purged_by="tests", **options)


class TestService:
    def test_everything_collected_goes_and_nothing_else(self) -> None:
        auth.create_token(label="kept", created_by="tests")
        call_command("ensure_admin", stdout=io.StringIO())
        sync_schedules()
        panels.change_config(changed_by="tests", layout={"default_period": "day"})
        set_flag(SCHEDULER_PAUSED, is_set=True, changed_by="tests")
        backfill()
        end_all(failing=1)
        store_empty(hot("202405"))
        before = everything_else()
        kept = {Category._meta.db_table, PanelLayout._meta.db_table, "core_flags", "django_q_schedule"}
        assert all(before[name] for name in kept)
        assert any("token" in name and before[name] for name in before)
        assert any("user" in name and before[name] for name in before)
        assert count_collected().total == 3 + 4 + 1
        purged = clean()
        assert (purged.records, purged.collections, purged.runs, purged.is_complete) == (3, 4, 1, True)
        assert everything_else() == before
        assert count_collected().total == 0
        assert all(not list(connection.database[name].find()) for name in COLLECTED)

    @pytest.mark.parametrize("failure", [AutoReconnect, KeyboardInterrupt])
    def test_stopped_half_way_the_caches_are_emptied_all_the_same(
        self, failure: type[BaseException], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for period in ("202501", "202502"):
            store(hot(period))
        group = hot("202501").cache_group
        before = get_cache().lookup(group, "x").ticket
        reported: list[int] = []

        def stop(count: int) -> None:
            reported.append(count)
            raise failure

        monkeypatch.setattr(service, "_BATCH", 1)
        with pytest.raises(failure):
            clean(on_progress=stop)
        assert (reported, len(records())) == ([1], 1)
        assert get_cache().lookup(group, "x").ticket.epoch != before.epoch

    def test_what_is_under_way_goes_on(self) -> None:
        run_id = backfill()
        ended = claim()
        collection_of(Collection).update_one(
            {"_id": ended["_id"]},
            {"$set": {"status": "FAILED", "active_key": None, "slot": None, "finished_at": utc_now()}},
        )
        enqueue(hot("202401"))
        purged = clean()
        assert (purged.collections, purged.runs) == (0, 0)  # the progress of a running run is exact
        assert sorted(statuses()) == ["FAILED", "PENDING", "PENDING", "PENDING"]
        assert find_run(run_id) is not None

    def test_what_is_written_meanwhile_stays(self, monkeypatch: pytest.MonkeyPatch) -> None:
        store(hot("202501"))
        begun_at = utc_now()
        store(hot("202502"))
        collection_of(Record).update_many(
            {"period_key": "202502"}, {"$set": {"updated_at": begun_at + timedelta(seconds=60)}}
        )
        monkeypatch.setattr(service, "utc_now", lambda: begun_at + timedelta(seconds=1))
        assert clean().records == 1
        assert set(records()) == {"hot:1001:month:202502"}

    def test_documents_of_others_go_too(self) -> None:
        collection_of(Record).insert_one({"action": "hot", "data": []})
        assert clean().records == 1

    def test_no_reader_gets_from_a_cache_what_is_gone(self) -> None:
        query = hot("202501")
        store(query)
        cache = get_cache()
        lookup = cache.lookup(query.cache_group, "field")
        entry = build_entry(b"{}", stored_at=0.0, fresh_until=9e9, serve_until=9e9)
        cache.fill(lookup.ticket, entry)
        assert cache.lookup(query.cache_group, "field").entry is not None
        clean(frozenset({PurgeTarget.MONGODB}))
        assert cache.lookup(query.cache_group, "field").entry is None

    @pytest.mark.parametrize(
        ("target", "caches", "l1"), [(PurgeTarget.REDIS, True, True), (PurgeTarget.L1, False, True)]
    )
    def test_caches_alone_leave_the_records(self, target: PurgeTarget, caches: bool, l1: bool) -> None:
        store(hot("202501"))
        purged = clean(frozenset({target}))
        assert (purged.records, purged.are_caches_cleared, purged.is_l1_cleared) == (0, caches, l1)
        assert len(records()) == 1

    def test_too_much_for_one_time_is_told_and_goes_on(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(service, "_BATCH", 2)
        for month in range(1, 6):
            store(hot(f"2025{month:02}"))
        first = clean(max_seconds=0.0)
        assert (first.records, first.collections, first.is_complete) == (2, 0, False)
        second = clean(max_seconds=60.0)
        assert (second.records, second.collections, second.is_complete) == (3, 5, True)

    def test_without_redis_nothing_is_deleted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        store(hot("202501"))

        def refuse(*_args: Any, **_kwargs: Any) -> Any:
            raise redis.ConnectionError

        with monkeypatch.context() as without:
            without.setattr(redis.connection.ConnectionPool, "get_connection", refuse)
            with pytest.raises(redis.ConnectionError):
                clean()
        assert len(records()) == 1

    def test_when_redis_goes_meanwhile_that_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def lose_redis(_client: redis.Redis) -> bool:
            raise redis.ConnectionError

        monkeypatch.setattr("apps.core.caching.tiers._begin_new_epoch", lose_redis)
        with pytest.raises(DependencyUnavailable):
            clean()

    def test_it_leaves_a_line_in_the_audit_log(self, written_log: Any) -> None:
        store(hot("202501"))
        clean()
        [line] = [line for line in written_log() if line["event"] == "collected_data_purged"]
        assert (line["purged_by"], line["records"], line["collections"]) == ("tests", 1, 1)


def run(*arguments: str, answer: str | None = None) -> tuple[int, str, str]:
    """Run the command; ``answer`` is what the user types."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdin", io.StringIO(answer or ""))
        try:
            call_command("clear_storage", *arguments, stdout=out, stderr=err)
        except SystemExit as ended:
            return int(ended.code or 0), out.getvalue(), err.getvalue()
    return 0, out.getvalue(), err.getvalue()


class TestCommand:
    def test_it_says_how_much_there_is_and_asks(self) -> None:
        store(hot("202501"))
        code, out, err = run(answer="yes\n")
        assert code == 0
        assert "This deletes 1 records, 1 ended collections and 0 ended sync tasks" in err
        assert "Type yes to continue" in err
        assert "Deleted 1 records, 1 ended collections and 0 ended sync tasks." in out
        assert (records(), collections()) == ({}, [])

    @pytest.mark.parametrize(
        "answer", ["", "\n", "no\n", "y\n", "YES\n", "yes please\n", "\x00", "x" * 10_000]
    )
    def test_anything_but_yes_changes_nothing(self, answer: str) -> None:
        store(hot("202501"))
        code, out, _ = run(answer=answer)
        assert (code, out) == (1, "Nothing was deleted.\n")
        assert len(records()) == 1

    def test_yes_does_not_ask(self) -> None:
        store(hot("202501"))
        code, out, err = run("--yes", "--json")
        reported = json.loads(out)
        assert code == 0
        assert "Type" not in err
        assert reported["found"] == {"records": 1, "collections": 1, "sync_tasks": 0}
        assert reported["deleted"] == reported["found"] | {
            "caches_cleared": True,
            "l1_cleared": True,
            "is_complete": True,
        }
        assert records() == {}

    def test_a_dry_run_only_counts(self) -> None:
        backfill("202501")
        end_all()
        code, out, err = run("--dry-run")
        assert (code, err) == (0, "")
        assert "Dry run, nothing deleted." in out
        assert "Found 1 records, 1 ended collections and 1 ended sync tasks." in out
        reported = json.loads(run("--dry-run", "--json")[1])
        assert reported["found"] == {"records": 1, "collections": 1, "sync_tasks": 1}
        assert len(records()) == 1

    def test_only_the_caches(self) -> None:
        store(hot("202501"))
        code, out, err = run("--target", "redis", "l1", answer="yes\n")
        assert code == 0
        assert "This clears the caches: l1, redis." in err
        assert "The caches were cleared." in out
        assert len(records()) == 1
        assert "The caches of the processes were cleared." in run("--target", "l1", "--yes")[1]

    @pytest.mark.parametrize("name", ["users", "", "MONGODB", "mongodb,redis", "\x00"])
    def test_other_targets_are_bad_arguments(self, name: str) -> None:
        with pytest.raises(CommandError):
            run("--target", name, "--yes")
