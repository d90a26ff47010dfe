"""Log lines of a queue worker: each says which task wrote it, and nothing of the task before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import structlog
from django_q.signals import pre_execute

Log = Callable[[], list[dict[str, Any]]]


def begin(function: Any, task_id: str) -> None:
    """Begin a task as a queue worker does."""
    pre_execute.send(sender="django_q", func=function, task={"func": function, "id": task_id})


def test_every_line_names_its_task(written_log: Log) -> None:
    logger = structlog.get_logger("tests.tasks")
    begin("apps.mengla.tasks.dispatch", "one")
    structlog.contextvars.bind_contextvars(collection_id="left-behind")
    logger.info("first")
    begin("apps.mengla.tasks.tick", "two")
    logger.info("second")
    first, second = written_log()
    assert (first["task"], first["task_id"]) == ("apps.mengla.tasks.dispatch", "one")
    assert (second["task"], second["task_id"]) == ("apps.mengla.tasks.tick", "two")
    assert "collection_id" not in second
