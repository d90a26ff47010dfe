"""The OpenAPI document of these addresses."""

from __future__ import annotations

from typing import Any

import pytest
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator

from apps.core.api.openapi import text_patterns


@pytest.fixture(scope="module")
def document() -> Any:
    GENERATOR_STATS.reset()
    document = SchemaGenerator(urlconf="config.urls").get_schema(request=None, public=True)
    reported = [
        str(key) for cache in (GENERATOR_STATS._warn_cache, GENERATOR_STATS._error_cache) for key in cache
    ]
    assert not [text for text in reported if "apps/auth" in text]
    return document


def test_bearer_tokens_are_described(document: Any) -> None:
    assert document["components"]["securitySchemes"]["bearerAuth"]["scheme"] == "bearer"
    me = document["paths"]["/api/auth/me"]["get"]
    assert {"bearerAuth": []} in me["security"]
    assert document["paths"]["/api/auth/login"]["post"].get("security", [{}]) == [{}]


def test_every_address_and_status_is_there(document: Any) -> None:
    found = {
        (path, method): [status for status in operation["responses"] if status.startswith("2")]
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if path.startswith("/api/auth/")
    }
    assert found == {
        ("/api/auth/login", "post"): ["200"],
        ("/api/auth/me", "get"): ["200"],
        ("/api/auth/generate-token", "post"): ["201"],
        ("/api/auth/tokens", "get"): ["200"],
        ("/api/auth/tokens/{token_id}", "delete"): ["200"],
    }


def test_bounds_are_told(document: Any) -> None:
    schemas = document["components"]["schemas"]
    [new_token] = [schema for name, schema in schemas.items() if name.startswith("NewToken")]
    # White space around it does not count, so its length is in the pattern.
    assert new_token["properties"]["label"]["pattern"] == text_patterns.trimmed(2, 50)
    assert new_token["properties"]["expires_hours"]["maximum"] == 8760
    assert new_token["properties"]["expires_hours"]["default"] == 720
    assert new_token["required"] == ["label"]
