"""The OpenAPI document of these addresses."""

from __future__ import annotations

from typing import Any

import pytest
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator


@pytest.fixture(scope="module")
def document() -> Any:
    GENERATOR_STATS.reset()
    document = SchemaGenerator(urlconf="config.urls").get_schema(request=None, public=True)
    reported = [
        str(key) for cache in (GENERATOR_STATS._warn_cache, GENERATOR_STATS._error_cache) for key in cache
    ]
    assert not [text for text in reported if "sync_tasks" in text or '"status"' in text]
    return document


def test_every_address_and_status_is_there(document: Any) -> None:
    found = {
        (path.removeprefix("/api/sync-tasks"), method): [
            status for status in operation["responses"] if status.startswith("2")
        ]
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if path.startswith("/api/sync-tasks")
    }
    assert found == {
        ("", "get"): ["200"],
        ("/today", "get"): ["200"],
        ("/{run_id}", "get"): ["200"],
        ("/{run_id}", "delete"): ["200"],
        ("/{run_id}/cancel", "post"): ["200"],
        ("/{run_id}/retry", "post"): ["202"],
    }


def test_a_page_is_an_object_and_its_filters_are_told(document: Any) -> None:
    operation = document["paths"]["/api/sync-tasks"]["get"]
    content = operation["responses"]["200"]["content"]["application/json"]["schema"]
    envelope = document["components"]["schemas"][content["$ref"].rpartition("/")[2]]
    data = envelope["properties"]["data"]
    assert data["$ref"].endswith("/SyncTaskPage")
    names = {parameter["name"] for parameter in operation["parameters"]}
    assert names == {"status", "outcome", "task_id", "trigger", "from", "to", "cursor", "limit"}


def test_progress_and_failures_are_described(document: Any) -> None:
    schemas = document["components"]["schemas"]
    detail = schemas["SyncTaskDetail"]["properties"]
    assert "SyncTaskProgress" in str(detail["progress"])
    assert "SyncTaskFailure" in str(detail["failures"])
    assert schemas["SyncTaskProgress"]["properties"]["eta_seconds"]["type"] == ["integer", "null"]
