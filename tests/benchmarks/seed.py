"""The stored data that the requests read; runs in a process with Django and its own empty database."""

from __future__ import annotations

import json
import tempfile
from datetime import date, timedelta
from io import StringIO
from typing import Any

import pymongo
from bson import ObjectId
from django.core.management import call_command
from pymongo.errors import OperationFailure

from apps.auth.services import create_token
from apps.categories.selectors import list_children
from apps.core.api.envelope import dump_json, success_body
from apps.core.batches import batches
from apps.core.periods import Granularity, parse_period
from apps.core.storage.mongo import collection_of, utc_now
from apps.core.storage.redis import get_redis
from apps.launcher.quickstart.prepare import SAMPLE_TREE
from apps.mengla.choices import Action
from apps.mengla.ingest.records import Answer, Provenance, store_answers
from apps.mengla.models import Record
from apps.mengla.queries.data_query import DataQuery
from apps.mengla.simulator.data import ranking_rows
from apps.mengla.simulator.query import parse_parameters

FIGURES_BYTES = 52_000  # of one answer
LEVEL1_COUNT, CHILDREN_PER_LEVEL1 = 30, 21
CAT_ID = "10000"
FIRST_DAY = date(2022, 1, 1)
HIT_COUNT = 200  # stored rankings that L2 keeps
L3_COUNT = 1000  # stored rankings that L2 does not keep
MISS_DAYS = 50  # for each category, days of which nothing is stored
PATIENCE_SECONDS = 600  # of operations that no reader waits for; the product's end after 1.5 s
_IDS_PER_LEVEL1 = 100


def seed() -> str:
    """Fill an empty database with the tree and rankings of days; returns the token of a reader."""
    call_command("migrate", interactive=False, verbosity=0)
    call_command("ensure_admin", stdout=StringIO())
    tree = make_tree()
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(tree, file)
        file.flush()
        call_command("import_categories", file.name, stdout=StringIO())
    data = ranking_of(FIGURES_BYTES)
    for action, count in ((Action.HOT, HIT_COUNT), (Action.HIGH, L3_COUNT)):
        store(action, count, data)
    return create_token(label="benchmark", created_by="benchmark").token


def make_tree() -> list[dict[str, Any]]:
    """Return a tree of a real one's size: the nodes of the sample, repeated with other ids."""
    sample = json.loads(SAMPLE_TREE.read_text("utf-8"))
    children = [child for node in sample for child in node["children"]]
    tree = []
    for number in range(LEVEL1_COUNT):
        cat_id = int(CAT_ID) + number * _IDS_PER_LEVEL1
        tree.append(
            {
                **sample[number % len(sample)],
                **{"catId": cat_id, "catId1": cat_id},
                "children": [
                    {
                        **children[(number + position) % len(children)],
                        **{"catId": cat_id + 1 + position, "catId1": cat_id, "catId2": cat_id + 1 + position},
                    }
                    for position in range(CHILDREN_PER_LEVEL1)
                ],
            }
        )
    return tree


def ranking_of(size: int) -> dict[str, Any]:
    """Return figures whose answer has about so many bytes: rows of the simulator, repeated if needed."""
    query = query_of(Action.HOT, 0)
    rows = ranking_rows(parse_parameters(query.service_parameters()))
    children = list_children(CAT_ID)
    base = len(dump_json(success_body({"list": [], "secondaryCategories": children})))
    row_bytes = len(dump_json(rows)) / len(rows)
    count = max(1, round((size - base) / row_bytes))
    return {"list": [rows[number % len(rows)] for number in range(count)]}


def day_of(number: int) -> str:
    """Return the n-th day, as clients write it."""
    return (FIRST_DAY + timedelta(days=number)).isoformat()


def query_of(action: Action, number: int) -> DataQuery:
    """Return the query for the ranking of the n-th day."""
    day = parse_period(day_of(number), Granularity.DAY)
    return DataQuery(action, CAT_ID, day, day)


def store(action: Action, count: int, data: dict[str, Any]) -> None:
    """Store the rankings of so many days, as if they had just been collected.

    One is stored by the product, and the others are copies of it under their own keys.
    """
    first = query_of(action, 0)
    provenance = Provenance(
        collection_id=str(ObjectId()), run_ids=[], has_reader=True, collected_at=utc_now(), duration_ms=900
    )
    store_answers(first, [Answer(first.start, data)], provenance)
    records = collection_of(Record)
    example = records.find_one({"_id": first.record_ids[0]})
    assert example is not None
    for numbers in batches(range(1, count), 100):
        queries = [query_of(action, number) for number in numbers]
        copies = [example | {"_id": query.record_ids[0], "period_key": query.start.key} for query in queries]
        with pymongo.timeout(PATIENCE_SECONDS):
            records.insert_many(copies, ordered=False)


def empty_servers() -> None:
    """Empty the database and the Redis database of this process."""
    database = collection_of(Record).database
    try:
        with pymongo.timeout(PATIENCE_SECONDS):
            database.client.drop_database(database.name)
    except OperationFailure as error:
        raise SystemExit(f"the database cannot be emptied: {error}") from error
    get_redis().flushdb()
