"""What notes an outage of MongoDB, and the short question before each operation while one is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pymongo
import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import QuerySet
from django.test.utils import CaptureQueriesContext
from pymongo.errors import (
    AutoReconnect,
    DuplicateKeyError,
    ExecutionTimeout,
    NetworkTimeout,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
)
from pymongo.synchronous.mongo_client import MongoClient

from apps.core.storage.database.client import Client, heavy_operations
from apps.core.storage.mongo import collection_of, has_collection, run_command
from apps.core.storage.outages import is_mongo_outage, mongo_outage

pytestmark = [pytest.mark.django_db, pytest.mark.mongo]
CLOSED_PORT = 1

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
def test_a_driver_that_remembers_slow_round_trips_delays_no_caller(
    operation: Callable[[], Any], answer_ping: Callable[[Exception], None]
) -> None:
    answer_ping(ExecutionTimeout("remaining timeout: 0.3 <= network round trip time: 1.1"))
    mongo_outage.note()
    operation()


# --- What notes an outage ---------------------------------------------------------------------------


@pytest.fixture
def fail_with(monkeypatch: pytest.MonkeyPatch) -> Callable[[Exception], None]:
    """Let every operation fail within PyMongo, and its retries too."""

    def fail_with(error: Exception) -> None:
        def find_no_server(*_arguments: Any, **_options: Any) -> None:
            raise error

        monkeypatch.setattr(MongoClient, "_select_server", find_no_server)

    return fail_with


@pytest.mark.parametrize(
    "error",
    [
        ServerSelectionTimeoutError("no servers found"),
        AutoReconnect("connection closed"),
        NetworkTimeout("timed out"),
        ExecutionTimeout("operation exceeded time limit", 50),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_an_operation_without_an_answer_notes_the_outage(
    operation: Callable[[], Any], error: Exception, fail_with: Callable[[Exception], None]
) -> None:
    fail_with(error)
    # PyMongo repeats what may be repeated until the time of the operation is over.
    with pytest.raises(Exception) as caught, pymongo.timeout(0.2):
        operation()
    assert is_mongo_outage(caught.value)
    assert mongo_outage.is_known


@pytest.mark.parametrize("error", [OperationFailure("not authorised", 13), DuplicateKeyError("twice", 11000)])
def test_an_answer_that_is_an_error_is_no_outage(
    error: Exception, fail_with: Callable[[Exception], None]
) -> None:
    fail_with(error)
    # Whatever it was met in the handling of: only the error itself comes from this operation.
    error.__context__ = NetworkTimeout("timed out")
    with pytest.raises(OperationFailure):
        run_command("dbStats")
    assert not mongo_outage.is_known


def test_a_process_that_never_had_a_connection_notes_the_outage() -> None:
    client = Client("127.0.0.1", CLOSED_PORT, serverSelectionTimeoutMS=50)
    with client, pytest.raises(ServerSelectionTimeoutError):
        client["db"]["documents"].find_one({})
    assert mongo_outage.is_known


def test_the_next_batch_of_a_cursor_is_an_operation_too(fail_with: Callable[[Exception], None]) -> None:
    collection_of(User).insert_many([{"username": str(number)} for number in range(3)])
    found = collection_of(User).find({}, batch_size=2)
    next(found)
    fail_with(AutoReconnect("connection closed"))
    with pytest.raises(PyMongoError), pymongo.timeout(0.2):
        list(found)
    assert mongo_outage.is_known


def test_work_that_is_too_much_for_its_time_is_no_outage() -> None:
    with heavy_operations(0.0001), pytest.raises(PyMongoError) as caught:
        collection_of(User).find_one({})
    assert is_mongo_outage(caught.value)
    assert not mongo_outage.is_known
    with pytest.raises(PyMongoError), pymongo.timeout(0.0001):  # only what is within it is heavy
        collection_of(User).find_one({})
    assert mongo_outage.is_known


def test_an_operation_that_had_begun_before_ends_the_outage() -> None:
    documents = collection_of(User)
    mongo_outage.note()
    documents.find_one({})
    assert not mongo_outage.is_known


@pytest.mark.parametrize(
    ("rows", "is_read"),
    [
        (User.objects.all(), True),
        (User.objects.defer("password"), False),
        (User.objects.only("username"), False),
        (User.objects.defer("password").order_by("-id")[:1], False),
        (User.objects.defer("last_login"), True),
    ],
    ids=["all", "defer", "only", "slice", "another"],
)
def test_a_deferred_field_is_not_read_before_it_is_used(rows: QuerySet[User], *, is_read: bool) -> None:
    """A list of 100 rows would otherwise read 100 large documents: megabytes for a page."""
    User.objects.create(username="ana", email="ana@example.org", password="x")
    with CaptureQueriesContext(connection) as captured:
        (user,) = rows.all()
    (query,) = captured
    assert ("'password'" in query["sql"] or "$project" not in query["sql"]) == is_read
    assert (user.username, user.password, user.email) == ("ana", "x", "ana@example.org")
