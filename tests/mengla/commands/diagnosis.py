"""Reads what `manage.py diagnose` says."""

from __future__ import annotations

from typing import Any

from tests.mengla.commands.support import Ended

CHECKS = [
    *("environment", "mongodb", "migrations", "redis", "clocks", "collection_service", "breaker"),
    *("worker", "tick", "schedules", "queue", "webhook", "signature", "logins"),
]
SECRET = "secret-word"


def checks_of(ended: Ended) -> dict[str, dict[str, Any]]:
    """The checks by name, each well-formed."""
    result = ended.result
    assert [one["name"] for one in result["checks"]] == CHECKS
    for one in result["checks"]:
        assert set(one) == {"name", "is_ok", "latency_ms", "detail", "advice"}
        assert one["detail"]
        assert one["latency_ms"] >= 0
        assert (
            bool(one["advice"]) is not one["is_ok"]
        )  # what to do is said of what fails, and of nothing else
    assert result["is_ok"] is all(one["is_ok"] for one in result["checks"])
    assert ended.code == (0 if result["is_ok"] else 1)
    return {one["name"]: one for one in result["checks"]}
