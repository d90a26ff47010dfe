"""The memory of `manage.py remove_duplicates` does not grow with the collection."""

from __future__ import annotations

import pytest

from apps.core.storage.mongo import named_collection
from tests.benchmarks.duplicates import fill, run_command

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis, pytest.mark.slow]

FEW, MANY = 200, 100_000
# The documents are about 100 MB as BSON, and several times that as objects of Python.
MOST_MB = 32


def test_a_hundred_thousand_documents_need_hardly_more_memory_than_two_hundred() -> None:
    few = fill("few", FEW, row_count=12)
    many = fill("many", MANY, row_count=12)
    assert named_collection("many").database.command("collStats", "many")["size"] > 80 * 1024 * 1024
    small = run_command("few", "--yes")
    for arguments, deleted in ((("--dry-run",), 0), (("--yes",), many), (("--yes",), 0)):
        large = run_command("many", *arguments)
        assert large.peak_mb - small.peak_mb < MOST_MB
        assert (large.reported["deleted"], large.reported["left_alone"]) == (deleted, 0)
    assert small.reported["deleted"] == few
    assert named_collection("many").count_documents({}) == MANY - many
    assert named_collection("many").count_documents({"data.list": []}) == 0
