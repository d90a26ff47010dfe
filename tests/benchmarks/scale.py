"""What lists, reports and imports cost with 1,000 and with 1,000,000 stored records: milliseconds.

    bin/bench --only lists

Complete responses of the product in this process (real MongoDB and Redis, no sockets), median of some rounds;
first with few documents, then the same with many. It takes minutes, most of them for filling MongoDB, in the
database ``collector_tests``, which it drops.
"""

from __future__ import annotations

import logging
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from itertools import count, islice
from typing import Any

import pymongo
from bson import ObjectId

from apps.core import market_clock
from apps.core.periods import parse_period

FEW, MANY = 1_000, 1_000_000
ROUNDS = 7
_BATCH = 5_000
_PATIENCE_SECONDS = 600
_LEVEL1, _CHILDREN = 30, 641  # the real tree
_ACTIONS = ("high", "hot", "chance", "industryViewV2", "industryTrendRange")
_LAST_YEAR, _MONTHS = 2025, 6  # months of one category that are filled before the next category
_GOLDEN = 0.618033988749895
_DAYS = 30  # records and collections were written in these last days, evenly
_COLLECTIONS_SHARE = 5  # one ended collection for so many records
_RUNS_SHARE = 1_000
_LEAST = 100  # documents of each kind: more than a page
_ADDRESSES = (
    "/api/mengla/records",
    "/api/mengla/records?action=hot&empty=false",
    "/api/mengla/records?action=hot&dateType=day",
    "/api/mengla/records?catId=1000&from=2025-07&to=2025-12",
    "/api/sync-tasks",
    "/api/auth/tokens",
    "/api/admin/system/status",
    "/api/admin/alerts",
)
_PAGES = (
    "/admin/",
    "/admin/coverage/",
    "/admin/mengla/record/",
    "/admin/mengla/record/?granularity=month",
    "/admin/mengla/record/?is_empty=False",
    "/admin/mengla/record/?granularity=day",
    "/admin/mengla/record/?q=hot:",
    "/admin/mengla/record/?p=899",
    "/admin/mengla/record/?granularity=month&p=899",
    "/admin/mengla/record/?action=hot&is_empty=False&p=899",
    "/admin/mengla/collection/",
    "/admin/mengla/collection/?status=SUCCEEDED",
    "/admin/mengla/collection/?priority=10",
    "/admin/mengla/collection/?error_code=unknown",
    "/admin/mengla/collection/?status=SUCCEEDED&p=899",
    "/admin/sync_tasks/synctask/",
    "/admin/collector_admin/alert/",
    "/admin/collector_admin/alertevent/",
    "/admin/collector_auth/apitoken/",
)
Document = dict[str, Any]


@dataclass(frozen=True)
class Measured:
    """Median milliseconds of one kind of work with few and with many documents."""

    name: str
    few_ms: float
    many_ms: float

    @property
    def ratio(self) -> float:
        """How many times as long it takes with many."""
        return self.many_ms / self.few_ms


def run(*, few: int = FEW, many: int = MANY, rounds: int = ROUNDS) -> list[Measured]:
    """Fill and measure twice; drops the database, which must be the tests' own, before and after."""
    logging.disable(logging.INFO)
    _prepare()
    try:
        fill(few)
        small = measure(rounds=rounds)
        fill(many, already=few)
        large = measure(rounds=rounds)
    finally:
        _drop()
        logging.disable(logging.NOTSET)
    return [Measured(name, small[name], large[name]) for name in small]


def measure(*, rounds: int = ROUNDS) -> dict[str, float]:
    """Return the median milliseconds of each kind of work with what is stored now."""
    from django.test import Client
    from rest_framework.test import APIClient

    from apps.auth.services import create_token
    from apps.categories.services import import_categories
    from apps.mengla.monitoring.coverage import coverage
    from tests.factories.categories import make_tree

    token = create_token(label="benchmark", created_by="benchmark", scope="admin").token
    api, site = APIClient(SERVER_NAME="localhost"), Client(SERVER_NAME="localhost")
    api.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    _log_in(site)
    tree = make_tree(level1_count=_LEVEL1, child_count=_CHILDREN)
    first, last = (parse_period(f"{_LAST_YEAR}{month:02}") for month in (7, 12))

    def get(client: Any, path: str) -> Callable[[], None]:
        def work() -> None:
            response = client.get(path)
            if response.status_code != HTTPStatus.OK:
                raise SystemExit(f"{path}: {response.status_code}")

        return work

    yesterday = market_clock.today() - timedelta(days=1)
    addresses = (*_ADDRESSES, f"/api/admin/collect-health?date={yesterday}")
    works: dict[str, Callable[[], object]] = {
        "import_categories (671 categories, none changed)": lambda: import_categories(nodes=tree),
        "coverage of 30 categories in 6 months": lambda: coverage(start=first, end=last),
        **{f"GET {path}": get(api, path) for path in addresses},
        **{f"page {path}": get(site, path) for path in _PAGES},
    }
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for number in range(rounds + 1):
        for name, work in works.items():
            started_at = time.perf_counter()
            work()
            if number:  # the first round fills caches and imports modules
                seconds[name].append(time.perf_counter() - started_at)
    return {name: statistics.median(each) * 1000 for name, each in seconds.items()}


def _log_in(site: Any) -> None:
    from django.contrib.auth import get_user_model

    users = get_user_model().objects
    site.force_login(users.filter(username="benchmark").first() or users.create_superuser("benchmark"))


def _drop() -> None:
    from django.db import connection

    assert connection.database.name.startswith("collector_tests"), "this is not the tests' own database"
    with pymongo.timeout(_PATIENCE_SECONDS):
        connection.connection.drop_database(connection.database.name)


def _prepare() -> None:
    """Create the MongoDB collections, their indexes and the category tree."""
    from django.core.management import call_command
    from django.db import connection

    from apps.categories.services import import_categories
    from tests.factories.categories import make_tree

    # A busy machine fails nothing: what is measured is how long it takes.
    connection.settings_dict["OPTIONS"]["timeoutMS"] = _PATIENCE_SECONDS * 1000
    _drop()
    call_command("migrate", verbosity=0)
    import_categories(nodes=make_tree(level1_count=_LEVEL1, child_count=_CHILDREN))


# --- The documents --------------------------------------------------------------------------------


def fill(count: int, *, already: int = 0) -> None:
    """Store records number ``already`` to ``count``, and ended collections and runs in proportion."""
    from apps.mengla.models import Collection, Record
    from apps.sync_tasks.models import SyncTask

    for model, made, share in (
        (Record, records(), 1),
        (Collection, collections(), _COLLECTIONS_SHARE),
        (SyncTask, runs(), _RUNS_SHARE),
    ):
        stored = max(already // share, _LEAST) if already else 0
        store(model, islice(made, stored, max(count // share, _LEAST)))


def store(model: type[Any], documents: Iterator[Document]) -> None:
    """Insert the documents into the MongoDB collection of the model."""
    from apps.core.storage.mongo import collection_of

    while batch := list(islice(documents, _BATCH)):
        with pymongo.timeout(_PATIENCE_SECONDS):
            collection_of(model).insert_many(batch, ordered=False)


def _queries() -> Iterator[tuple[str, str, str]]:
    """Yield action, category and month: all level-1 categories of half a year come first."""
    parents = [1000 * number for number in range(1, _LEVEL1 + 1)]
    children = [parents[index % _LEVEL1] + index // _LEVEL1 + 1 for index in range(_CHILDREN)]
    for half in range(1_000):
        year, first = _LAST_YEAR - half // 2, 7 if half % 2 == 0 else 1
        for cat_id in (*parents, *children):
            for month in range(first, first + _MONTHS):
                for action in _ACTIONS:
                    yield action, str(cat_id), f"{year}{month:02}"


def _instants() -> Iterator[datetime]:
    """Yield instants of the last days, evenly in any part of the sequence."""
    from apps.core.storage.mongo import utc_now

    end = utc_now()
    milliseconds = _DAYS * 86_400_000
    for number in count():
        # Multiples of the golden ratio divide any interval evenly.
        yield end - timedelta(milliseconds=1 + int(number * _GOLDEN % 1 * milliseconds))


def records() -> Iterator[Document]:
    """Yield the documents of different records, of months; the first ones are of the level-1 categories."""
    rows = [{"catName": "x" * 40, "monthSales": number} for number in range(3)]
    for number, ((action, cat_id, month), at) in enumerate(zip(_queries(), _instants(), strict=False)):
        is_empty = number % 50 == 49
        yield {
            "_id": f"{action}:{cat_id}:month:{month}",
            "action": action,
            "cat_id": cat_id,
            "granularity": "month",
            "period_key": month,
            "variant": "",
            "data": None if is_empty else {"list": rows},
            "data_hash": "" if is_empty else f"{number:064x}",
            "is_empty": is_empty,
            "empty_reason": "empty_list" if is_empty else "",
            "collected_at": at,
            "fresh_until": at + timedelta(days=365),
            "collect_duration_ms": 12_000,
            "collection_id": f"{number:024x}",
            "run_ids": [],
            "has_reader": False,
            "created_at": at,
            "updated_at": at,
            "expired_at": at + timedelta(days=3650),
        }


def collections() -> Iterator[Document]:
    """Yield the documents of ended collections of the last days, one for each of :func:`records`."""
    from apps.core.periods import parse_period
    from apps.mengla.choices import Action, Priority
    from apps.mengla.queries.data_query import DataQuery
    from apps.mengla.queue.documents import new_document

    ends = ("SUCCEEDED",) * 8 + ("EMPTY", "FAILED")
    pairs = zip(_queries(), _instants(), strict=False)
    for number, ((action, cat_id, month), at) in enumerate(pairs):
        period = parse_period(month)
        query = DataQuery(Action(action), cat_id, period, period)
        status = ends[number % len(ends)]
        new = new_document(
            query,
            priority=Priority.BACKFILL,
            requested_by="benchmark",
            run_id=run_id(number // 1000),
            is_forced=False,
        )
        yield new | {
            "_id": ObjectId(),
            "active_key": None,
            "status": status,
            "attempts": 1,
            "attempt_token": f"{number:032x}",
            "execution_id": f"x-{number}",
            "error_code": "timeout" if status == "FAILED" else "",
            "created_at": at - timedelta(seconds=30),
            "dispatched_at": at - timedelta(seconds=20),
            "finished_at": at,
            "updated_at": at,
        }


def run_id(number: int) -> str:
    """Return the id of a run of :func:`runs`."""
    return f"{number:024x}"


def runs() -> Iterator[Document]:
    """Yield the documents of completed runs of the last days; each requested a thousand collections."""
    for number, at in enumerate(_instants()):
        yield {
            "_id": ObjectId(run_id(number)),
            "task_id": "backfill",
            "name": "Backfill",
            "trigger": "manual",
            "status": "COMPLETED",
            "period": "2025-12",
            "slot": None,
            "running_key": None,
            "requested_by": "benchmark",
            "parameters": {},
            "totals": {"total": 1000, "completed": 800, "empty": 100, "failed": 100, "cancelled": 0},
            "skipped": {},
            "expected_total": 0,
            "planned_count": 0,
            "is_planned": True,
            "planner_token": "",
            "planner_until": None,
            "planner_lease_seconds": 0.0,
            "retry_of": "",
            "error_message": "",
            "error_message_parts": None,
            "started_at": at,
            "finished_at": at + timedelta(seconds=60),
            "updated_at": at + timedelta(seconds=60),
        }
