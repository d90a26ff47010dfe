"""The generated TypeScript types fit what a running server sends."""

from __future__ import annotations

import json

import pytest

from tests.clients.conftest import USAGE
from tests.clients.page import Workplace

pytestmark = [pytest.mark.slow, pytest.mark.mongo, pytest.mark.redis]


@pytest.mark.usefixtures("typescript_results")
def test_every_kind_of_answer_is_read(workplace: Workplace) -> None:
    read = workplace.run(f"node {USAGE}")
    assert read.returncode == 0, read.stdout + read.stderr
    found = json.loads(read.stdout)
    assert len(found["ranking"]["sales"]) == len(found["ranking"]["names"]) >= 10
    assert found["distribution"]["titles"][0]
    assert found["distribution"]["brands"] > 0
    assert found["trend"] == ["2023-01", "2023-02", "2023-03"]
    assert found["empty"].startswith("empty:")
    assert found["miss"] == {"status": 202, "action": "chance", "catId": "4400"}
    assert found["error"] == {"error": "VALIDATION_ERROR", "fields": ["timest"]}
    assert type(found["category"]["catId"]) is int
    assert found["category"]["children"] > 0
    assert found["page"]["records"] == 1
    assert found["page"]["cursor"]
    assert found["freshness"] == "fresh"
