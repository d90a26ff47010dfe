"""Stored data, so that the addresses have something to answer: figures, runs, tokens, an alert."""

from __future__ import annotations

from apps.auth import services as tokens
from apps.sync_tasks import services as runs
from apps.sync_tasks.choices import Trigger
from tests.factories.categories import load_sample, store_tree
from tests.mengla.support import fail, hot, store, store_empty, trend


def fill_world() -> None:
    """Store the sample tree and something of each kind."""
    store_tree(load_sample())
    store(hot("202506", cat_id="4200"))
    store(hot("2025", cat_id="4201"))
    store(trend("202501", "202503", cat_id="4200"))
    store_empty(hot("202505", cat_id="4200"))
    fail(hot("202504", cat_id="4200"), message="no such page")
    tokens.create_token(label="old one", created_by="tests")
    for task_id in ("backfill", "daily_collect", "fill"):
        started = runs.start_run(
            task_id=task_id, name="", trigger=Trigger.API, requested_by="tests", parameters={}
        )
        if task_id != "fill":
            runs.cancel_run(run_id=started.run_id, cancelled_by="tests")
