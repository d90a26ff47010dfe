"""Every query of the product uses an index, and reads about what it returns, whatever else is stored.

MongoDB's profiler notes how it has executed each query of a walk through addresses, pages, commands and the
lives of collections and runs, beside thousands of documents that none of them asks for.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from datetime import timedelta
from itertools import islice
from typing import Any

import pymongo
import pytest
from bson import ObjectId
from django.contrib import admin as django_admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.urls import reverse
from django_q.models import Task
from rest_framework.test import APIClient

from apps.admin.alerts import evaluation, outbox
from apps.admin.models import AlertNotice
from apps.core.periods import Granularity
from apps.core.scheduling.schedules import sync_schedules
from apps.core.storage.mongo import collection_of, utc_now
from apps.mengla.choices import Priority
from apps.mengla.dispatch.collection_control import cancel_collection, retry_collection
from apps.mengla.maintenance import tick, watch
from apps.mengla.models import Collection, Record
from apps.mengla.queue import abandoned, jobs, turns, window
from apps.mengla.queue.documents import new_document
from apps.mengla.runs.scheduled import run_backfill_check, run_period_collect
from apps.mengla.store import selectors
from apps.sync_tasks import selectors as run_selectors
from apps.sync_tasks import services as run_services
from apps.sync_tasks.models import SyncTask
from tests.benchmarks import scale
from tests.contract.routes import api_routes
from tests.mengla.commands.support import run as command
from tests.mengla.runs.support import end_all, plan_now
from tests.mengla.support import (
    answer,
    begin_attempt,
    collections,
    enqueue,
    hot,
    make_overdue,
    result_for,
    store,
    trend,
)

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]

COUNT = 2000
UNKNOWN = ObjectId()
# A query may look at so many documents, and at a few for each that it returns or changes.
FREE, EACH = 300, 3
Document = dict[str, Any]
_SHAPE = ("find", "filter", "q", "query", "pipeline", "sort", "hint", "projection")
# MongoDB collections that stay small: a scan is a good plan.
SMALL = {
    "alerts": "one document for each rule and data set",
    "alert_notices": "what processes of the former release have left",
    "alert_silences": "one for each rule and data set",
    "alert_events": "capped, and read from its end in its natural order",
    "categories_category": "the category tree, which is read as a whole",
    "core_declared_schedules": "one for each schedule of the product",
    "core_heartbeats": "one for each host",
    "django_content_type": "one for each model",
    "django_migrations": "one for each migration",
    "django_q_ormq": "empty: the queue is in Redis",
    "django_q_schedule": "one for each schedule",
    "auth_group": "made by operators one by one",
    "auth_permission": "four for each model",
    "auth_user": "made by operators one by one",
    "panels_panelmodule": "made by operators one by one",
}
# Operators made them one by one, and a page sorts, searches and counts them with the ORM.
TOKENS = "collector_auth_apitoken"


@pytest.fixture
def check() -> Iterator[Callable[..., None]]:
    """Return what fails if a query so far used no index, sorted in memory, or read too much.

    Queries of the MongoDB collections with these names are left out.
    """
    database = connection.database

    def fail_if_any(*others: str) -> None:
        # The details of a count hold the bounds of its keys, which Python has no dates for.
        rows = database["system.profile"].find({}, {"execStats": 0})
        found = {one for row in rows if (one := offence(row, {*SMALL, *others}))}
        if found:
            pytest.fail("\n".join(sorted(found)), pytrace=False)

    with pymongo.timeout(60):
        database.create_collection("system.profile", capped=True, size=256 << 20)
        database.command("profile", 2)
    yield fail_if_any
    with pymongo.timeout(60):
        database.command("profile", 0)
        database.drop_collection("system.profile")


def offence(row: Document, left_out: Container[str]) -> str:
    """Describe what is wrong with a noted operation; empty if nothing is."""
    name = row["ns"].partition(".")[2]
    if name.startswith(("system.", "$cmd")) or name in left_out or "planSummary" not in row:
        return ""
    touched = sum(row.get(key, 0) for key in ("nreturned", "nMatched", "nModified", "ndeleted"))
    wrong = []
    if "COLLSCAN" in row["planSummary"]:
        wrong.append("scans the MongoDB collection")
    is_count = row["planSummary"].startswith("COUNT_SCAN")
    for what in ("docsExamined", "keysExamined"):
        # A count goes through its keys.
        found = 0 if is_count and what == "keysExamined" else row.get(what, 0)
        if found > FREE + EACH * touched:
            wrong.append(f"{what} {found} for {touched}")
        elif found > FREE and row.get("hasSortStage"):
            wrong.append(f"sorts {found} in memory")
    asked = {key: value for key, value in row["command"].items() if key in _SHAPE}
    return f"{name}: {', '.join(wrong)}: {row['planSummary']}: {asked}" if wrong else ""


@pytest.fixture(autouse=True)
def _many_documents(sample_tree: Any) -> None:
    """Documents that no query asks for, and those of the models that grow with time."""
    scale.store(Record, islice(scale.records(), COUNT))
    scale.store(Collection, islice(scale.collections(), COUNT))
    scale.store(SyncTask, islice(scale.runs(), COUNT))
    now = utc_now()
    many = range(COUNT)
    scale.store(
        LogEntry,
        (
            {
                "user_id": UNKNOWN,
                "content_type_id": UNKNOWN,
                "object_id": f"{one}",
                "object_repr": "",
                "action_flag": 2,
                "change_message": "",
                "action_time": now,
            }
            for one in many
        ),
    )
    scale.store(
        Session, ({"session_key": f"{one:032}", "session_data": "", "expire_date": now} for one in many)
    )
    scale.store(
        Task,
        (
            {
                "id": f"{one:032x}",
                "name": f"{one}",
                "func": "a.b",
                "args": None,
                "kwargs": None,
                "result": None,
                "started": now,
                "stopped": now,
                "success": one % 2 == 0,
                "attempt_count": 1,
            }
            for one in many
        ),
    )
    scale.store(
        AlertNotice,
        (
            {"_id": ObjectId(), "event": {}, "attempts": 1, "not_before": now, "created_at": now}
            | {"channel": "webhook", "delivered_at": now, "given_up_at": None}
            for _ in range(COUNT)
        ),
    )


def _waiting_readers() -> Iterator[Document]:
    """Collections that 40 callers wait for, 50 each."""
    for number in range(COUNT):
        query = hot(product_id=f"waiting-{number}")
        place = f"{number // 40:010}-{number:015}"
        yield new_document(
            query,
            priority=Priority.READER,
            requested_by="",
            run_id=None,
            is_forced=False,
            caller=f"token:many-{number % 40}",
            place=place,
        )


class TestPlans:
    def test_addresses(self, admin: APIClient, check: Callable[..., None]) -> None:
        kept = store(hot("202506"))
        for route in api_routes():
            admin.get(route.path(str(kept["_id"])))
        run_id = scale.run_id(5)
        for path in (
            f"sync-tasks/{run_id}",
            "sync-tasks?status=COMPLETED&limit=5",
            "sync-tasks?status=FAILED",
            "sync-tasks?task_id=backfill",
            "sync-tasks?outcome=completed",
            "sync-tasks?outcome=completed_with_failures",
            "sync-tasks?trigger=manual",
            "categories/1001",
            "mengla?action=hot&primaryCatId=1001&timest=2025-06",
            "mengla?action=hot&primaryCatId=1001&timest=2025-05",
            "mengla?action=industryTrendRange&primaryCatId=1001&timest=2025-06&starRange=2025-01&endRange=2025-06",
            "mengla/records?action=hot",
            "mengla/records?catId=1000&from=2025-01&to=2025-12",
            "admin/alerts/history",
            "auth/tokens?limit=1",
        ):
            assert admin.get(f"/api/{path}").status_code in (200, 202), path
        check()

    def test_pages(self, site: Client, check: Callable[..., None]) -> None:
        chief = User.objects.get(username="chief")
        collection_of(LogEntry).update_many({}, {"$set": {"user_id": chief.pk}}, hint="_id_")
        store(trend("202501", "202506"))
        cell = "&category=1001&granularity=month&period=202505"
        for path in (
            *("", "live/", "data/", "run-task/", "alerts/", "alerts/queue_stuck/"),
            *("data/?action=hot&granularity=month", "data/?action=hot&category=1001&granularity=month"),
            *("data/?category=1001&period=2025&granularity=month", "data/?category=1000&period=2025-06"),
            *("coverage/", "coverage/live/", "coverage/?action=hot", "coverage/?action=industryTrendRange"),
            *(f"coverage/cell/?action=hot{cell}", f"coverage/cell/?action=industryTrendRange{cell}"),
        ):
            assert site.get(f"/admin/{path}").status_code in (200, 302), path
        for model in django_admin.site._registry:
            if model._meta.db_table in SMALL:
                continue
            base = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
            for query in self.queries_of(site, base):
                assert site.get(base + query).status_code in (200, 302), base + query
        run_id = scale.run_id(5)
        collection_list = reverse("admin:mengla_collection_changelist")
        for query in ("", "&status=FAILED", "&action=hot&priority=10", "&p=2"):
            assert site.get(f"{collection_list}?run={run_id}{query}").status_code == 200, query
        since = f"{utc_now() - timedelta(days=31):%Y-%m-%dT%H:%M}.."  # all documents of the scale
        for query in ("", "&outcome=answered", "&outcome=failed", "&outcome=failed&error_code=timeout"):
            assert site.get(f"{collection_list}?ended={since}{query}").status_code == 200, query
        run_page = reverse("admin:sync_tasks_synctask_change", args=[run_id])
        for query in ("status=FAILED", "action=hot&category=1001", "reason=timeout", f"after={'0' * 24}"):
            assert site.get(f"{run_page}?{query}").status_code == 200, query
        for model, key in (
            (Record, "hot:1000:month:202507"),
            (SyncTask, scale.run_id(5)),
            (Collection, None),
        ):
            key = key or str(collection_of(Collection).find_one({}, hint="_id_")["_id"])
            name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
            for view in ("change", "history"):
                assert site.get(reverse(f"{name}_{view}", args=[key])).status_code == 200, (model, view)
        check(TOKENS)

    def queries_of(self, site: Client, base: str) -> Iterator[str]:
        """Yield the query strings of a list: its first pages, every choice of its filters, searches."""
        first = site.get(base)
        yield from ("?p=3", "?q=hot:10", f"?q={'0' * 24}", "?q=1000")
        if first.status_code == 200 and "cl" in first.context:
            changes = first.context["cl"]
            for one in changes.filter_specs:
                choices = [choice["query_string"] for choice in one.choices(changes)]
                yield from {choices[1], choices[-1]}

    def test_lives_of_collections(self, check: Callable[..., None]) -> None:
        answer(begin_attempt(hot("202501")), result_for(hot("202501")))
        store(trend("202501", "202503"))
        overdue = begin_attempt(hot("202502"))
        make_overdue(overdue)
        watch.look()
        tick.run_tick()
        enqueue(hot("202503"), Priority.BACKFILL)
        jobs.claim(slot_count=10, is_probe=True)
        jobs.claim(slot_count=10, prefers_untried=True)
        abandoned.has_claims()
        cancel_collection(collection_id=str(enqueue(hot("202504"))), cancelled_by="tests")
        retry_collection(collection_id=str(collections(status="CANCELLED")[0]["_id"]), requested_by="tests")
        tick.run_tick()
        check()

    def test_turns_of_many_waiting_readers(
        self, check: Callable[..., None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        scale.store(Collection, _waiting_readers())
        enqueued = [
            jobs.enqueue(
                hot(product_id=f"{number}"), priority=Priority.READER, requested_by="ana", caller="token:1"
            )
            for number in range(3)
        ]
        enqueue(hot("202502"), Priority.BACKFILL)
        for one in jobs.claim_many(5, slot_count=20):
            assert one["priority"] == Priority.READER
        jobs.claim(slot_count=20)
        jobs.claim(slot_count=20, is_probe=True)
        monkeypatch.setattr(window, "is_open", lambda: False)
        monkeypatch.setattr(window, "seconds_until_open", lambda: 60.0)
        assert turns.seconds_until_due() == 0
        assert turns.has_waiting()
        jobs.claim_many(5, slot_count=20)
        for one in enqueued:
            assert selectors.queue_position(one.collection) < 3 * 40  # three rounds of 40 callers
        check()

    def test_runs(self, check: Callable[..., None]) -> None:
        sync_schedules()
        for granularity in Granularity:
            run_period_collect(granularity, intended_at=None)
        run_backfill_check(intended_at=None)
        running = run_selectors.list_running(10)
        assert len(running) > 3
        for run in running:
            plan_now(str(run["_id"]))
        watch.look()
        tick.run_tick()
        cancelled, *others = [str(run["_id"]) for run in running]
        run_services.cancel_run(run_id=cancelled, cancelled_by="tests")
        end_all(failing=2)
        tick.run_tick()
        failed = next(one for one in others if collections(run_ids=one, status="FAILED"))
        plan_now(run_services.retry_run(run_id=failed, requested_by="tests").run_id)
        end_all()
        for is_data_deleted in (False, True):
            run_services.delete_run(run_id=others.pop(), is_data_deleted=is_data_deleted, deleted_by="tests")
        evaluation.run_scheduled_check()
        outbox.deliver_due()
        check()

    def test_commands(self, check: Callable[..., None]) -> None:
        # MongoDB then remembers a plan for this filter, and would count with it by reading the documents.
        for status in ("FAILED", "SUCCEEDED") * 5:
            list(collection_of(Collection).find({"status": status}).limit(1))
        for name, *arguments in (
            ("coverage", "--from", "2025-01", "--to", "2025-12"),
            ("sync_tasks", "list"),
            ("backfill", "--from", "2025-01", "--to", "2025-02", "--dry-run"),
            ("clear_storage", "--dry-run"),
        ):
            ended = command(name, *arguments)
            assert ended.code == 0, ended
        check()
