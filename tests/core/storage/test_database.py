"""The ORM and PyMongo while an outage of MongoDB is known: one short question before each operation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from pymongo.errors import ExecutionTimeout, NetworkTimeout

from apps.core.storage.mongo import collection_of, has_collection, run_command
from apps.core.storage.outages import is_mongo_outage, mongo_outage

pytestmark = [pytest.mark.django_db, pytest.mark.mongo]

OPERATIONS: dict[str, Callable[[], Any]] = {
    "read": lambda: User.objects.filter(username="ana").first(),
    "create": lambda: User.objects.create(username="ana"),
    "update": lambda: User.objects.update(first_name="Ana"),
    "delete": lambda: User.objects.filter(username="ana").delete(),
    "pymongo": lambda: collection_of(User).find_one({}),
    "list": lambda: has_collection("auth_user"),
    "command": lambda: run_command("dbStats"),
}


@pytest.fixture
def answer_ping(monkeypatch: pytest.MonkeyPatch) -> Callable[[Exception], None]:
    """Let the short question fail; everything else works."""
    command = connection.database.command

    def fail_with(error: Exception) -> None:
        def answer(name: Any, *args: Any, **options: Any) -> Any:
            if name == "ping":
                raise error
            return command(name, *args, **options)

        monkeypatch.setattr(connection.database, "command", answer)

    return fail_with


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_an_operation_fails_early_while_mongodb_still_hangs(
    operation: Callable[[], Any], answer_ping: Callable[[Exception], None]
) -> None:
    answer_ping(NetworkTimeout("timed out"))
    operation()
    mongo_outage.note()
    with pytest.raises(Exception) as caught:
        operation()
    assert is_mongo_outage(caught.value)


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_the_outage_is_over_with_the_first_answer(operation: Callable[[], Any]) -> None:
    mongo_outage.note()
    operation()
    assert not mongo_outage.is_known


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_a_driver_that_remembers_slow_round_trips_keeps_nobody_out(
    operation: Callable[[], Any], answer_ping: Callable[[Exception], None]
) -> None:
    answer_ping(ExecutionTimeout("remaining timeout: 0.3 <= network round trip time: 1.1"))
    mongo_outage.note()
    operation()
