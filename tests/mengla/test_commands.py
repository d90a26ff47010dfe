"""The operators' commands, called as they are at the command line."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from django.core.management import call_command

from tests.factories.categories import Node

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]


@pytest.fixture(autouse=True)
def _tree(sample_tree: list[Node]) -> None:
    """Two level-1 categories: 1000 and 2000."""


def run(*arguments: str) -> tuple[int, Any]:
    """Run a command with --json; returns its exit status and its result."""
    out = io.StringIO()
    status = 0
    try:
        call_command(*arguments, "--json", stdout=out, stderr=io.StringIO())
    except SystemExit as end:
        status = int(end.code or 0)
    text = out.getvalue().strip()
    return status, json.loads(text.splitlines()[-1]) if text else None


@pytest.mark.parametrize(
    "arguments",
    [
        ("collect", "month", "--date", "2025-06", "--dry-run"),
        ("backfill", "--from", "2025-05", "--to", "2025-06", "--dry-run"),
        ("fill", "--from", "2025-05", "--to", "2025-06", "--dry-run"),
        ("backfill_check", "--dry-run"),
        ("coverage", "--granularity", "month", "--from", "2025-05", "--to", "2025-06"),
        ("sync_tasks", "list"),
    ],
)
def test_a_command_answers_with_json_and_status_0(arguments: tuple[str, ...]) -> None:
    status, result = run(*arguments)
    assert status == 0
    assert isinstance(result, dict)


def test_a_run_is_started_shown_and_cancelled() -> None:
    assert run("collect", "month", "--date", "2025-06")[0] == 0
    tasks = run("sync_tasks", "list")[1]["tasks"]
    assert [task["task_id"] for task in tasks] == ["monthly_collect"]
    assert run("collect", "month", "--date", "2025-06")[0] == 1  # it runs already
    assert run("sync_tasks", "cancel", tasks[0]["id"])[0] == 0
    assert run("sync_tasks", "show", tasks[0]["id"])[1]["status"] == "CANCELLED"


def test_diagnose_says_what_is_wrong() -> None:
    status, result = run("diagnose")
    assert status == 1  # no worker runs beside this test
    assert isinstance(result, dict)
