"""What an address answers when something breaks: our own code, MongoDB, or Redis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis
from pymongo.errors import ServerSelectionTimeoutError
from pymongo.synchronous.mongo_client import MongoClient
from rest_framework.test import APIClient
from rest_framework.views import APIView

from apps.auth import services
from apps.auth.tokens import caller_cache
from apps.auth.tokens.credentials import new_api_token
from apps.core.errors import ErrorCode
from apps.core.storage import outages
from apps.core.web import middleware, views
from tests.contract.routes import METHODS, Route, api_routes, assert_contract

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]

SECRET = "mongodb://root:Tr0ub4dor@10.0.0.1/"
ROUTES = api_routes()
Log = Callable[[], list[dict[str, Any]]]


@pytest.fixture(params=[False, True], ids=["debug off", "debug on"])
def _debug(request: pytest.FixtureRequest, settings: Any) -> None:
    settings.DEBUG = request.param


@pytest.fixture
def client(admin_token: str) -> APIClient:
    """An admin's client that gets a crash as an answer, as in the real server."""
    client = APIClient(raise_request_exception=False)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {admin_token}")
    return client


def crash(*_args: Any, **_kwargs: Any) -> Any:
    password_in_a_local_variable = "Tr0ub4dor"
    raise RuntimeError(f"cannot reach {SECRET} with {password_in_a_local_variable}")


def assert_crash_is_told(response: Any, log: Log, *, of: str) -> None:
    """The client gets an id and nothing else; the log has the traceback under this id."""
    assert_contract(response, of=of)
    assert response.status_code == 500
    request_id = response.headers["X-Request-ID"]
    text = response.content.decode()
    if response.request["REQUEST_METHOD"] != "HEAD":
        assert response.json() == {
            "success": False,
            "error": "INTERNAL_ERROR",
            "message": "Something went wrong on our side.",
            "detail": f"request_id={request_id}",
        }
    for word in ("Tr0ub4dor", "RuntimeError", "Traceback", "crash", ".py", "<"):
        assert word not in text
    logged = [line for line in log() if line.get("request_id") == request_id and "exception" in line]
    assert logged, of
    assert logged[0]["level"] == "error"
    assert "RuntimeError: cannot reach" in logged[0]["exception"]
    assert "test_crashes.py" in logged[0]["exception"]
    assert "mongodb://***@10.0.0.1/" in logged[0]["exception"]


@pytest.mark.usefixtures("_debug")
@pytest.mark.parametrize("route", ROUTES, ids=str)
def test_a_crash_in_any_view(
    route: Route, client: APIClient, written_log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(APIView, "initial", crash)
    for method in METHODS:
        response = getattr(client, method)(route.path())
        assert_crash_is_told(response, written_log, of=f"{method} {route}")


@pytest.mark.usefixtures("_debug")
def test_a_crash_in_a_service(client: APIClient, written_log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "create_token", crash)
    response = client.post("/api/auth/generate-token", {"label": "crashing"}, HTTP_X_REQUEST_ID="find-me")
    assert response.headers["X-Request-ID"] == "find-me"
    assert_crash_is_told(response, written_log, of="a service")


@pytest.mark.usefixtures("_debug")
@pytest.mark.parametrize("path", ["/api/auth/me", "/api/nothing", "/api", "/api/docs"])
def test_a_crash_outside_of_every_view(
    path: str, client: APIClient, written_log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(middleware.TrailingSlashMiddleware, "__call__", crash)
    for method in METHODS:
        assert_crash_is_told(getattr(client, method)(path), written_log, of=f"{method} {path}")


@pytest.mark.usefixtures("_debug")
def test_a_crash_while_an_answer_is_written(
    client: APIClient, written_log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.core.api.renderers.success_body", crash)
    assert_crash_is_told(client.get("/api/auth/me"), written_log, of="the renderer")


@pytest.mark.usefixtures("_debug")
def test_a_crash_of_the_authentication(
    client: APIClient, written_log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caller_cache.known_callers, "look_up", crash)
    assert_crash_is_told(client.get("/api/auth/me"), written_log, of="the authentication")


@pytest.mark.usefixtures("_debug")
def test_a_crash_leaves_no_id_behind_for_the_next_request(
    client: APIClient, written_log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(APIView, "initial", crash)
        first = client.get("/api/auth/me", HTTP_X_REQUEST_ID="first")
    second = client.get("/api/auth/me")
    assert (first.status_code, second.status_code) == (500, 200)
    assert second.headers["X-Request-ID"] != "first"


def test_a_value_no_json_can_hold_is_a_crash_too(
    client: APIClient, written_log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "apps.auth.views._principal", lambda _request: {"username": "\ud800", "scope": object()}
    )
    response = client.get("/api/auth/me")
    assert_contract(response, of="an answer that cannot be written")
    assert response.status_code == 500


def test_django_pages_outside_the_api_stay_pages(client: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert client.get("/nothing").headers["Content-Type"].startswith("text/html")
    monkeypatch.setattr(views, "check_dependencies", crash)
    response = client.get("/ready")
    assert response.status_code == 500
    assert "Tr0ub4dor" not in response.content.decode()


def test_a_debug_page_outside_the_api_hides_connection_strings(
    client: APIClient, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.DEBUG = True
    settings.MONGO_URI = SECRET
    settings.REDIS_URI = "redis://:Tr0ub4dor@10.0.0.1/0"
    settings.COLLECT_SERVICE_API_KEY = settings.JWT_SECRET = settings.ADMIN_PASSWORD = "Tr0ub4dor"
    monkeypatch.setattr(views, "check_dependencies", None)
    text = client.get("/ready").content.decode()
    assert "TypeError" in text
    assert "Tr0ub4dor" not in text


# --- MongoDB and Redis ----------------------------------------------------------------------------


@pytest.fixture
def mongo_goes_down(monkeypatch: pytest.MonkeyPatch, client: APIClient) -> Callable[[], None]:
    """Return what takes MongoDB away; the token is known already, as in a running process."""
    assert client.get("/api/auth/me").status_code == 200

    def refuse(*_args: Any, **_kwargs: Any) -> Any:
        raise ServerSelectionTimeoutError(f"No servers found yet, {SECRET}")

    def go_down() -> None:
        monkeypatch.setattr(MongoClient, "_select_server", refuse)

    return go_down


def assert_unavailable(response: Any, what: str) -> None:
    assert response.status_code == 503
    body = response.json()
    assert body["error"] == ErrorCode.DEPENDENCY_UNAVAILABLE
    assert body["detail"] == what
    assert "10.0.0.1" not in response.content.decode()


@pytest.mark.usefixtures("_debug")
@pytest.mark.parametrize("route", ROUTES, ids=str)
def test_no_address_crashes_without_mongodb(
    route: Route, client: APIClient, mongo_goes_down: Callable[[], None]
) -> None:
    mongo_goes_down()
    for method in METHODS:
        for _ in range(2):
            response = getattr(client, method)(route.path())
            assert_contract(response, of=f"{method} {route}")
            assert response.status_code < 500 or response.status_code == 503


@pytest.mark.usefixtures("_debug")
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("get", "/api/auth/tokens", None),
        ("post", "/api/auth/generate-token", {"label": "new one"}),
        ("delete", "/api/auth/tokens/507f1f77bcf86cd799439011", None),
        ("post", "/api/auth/login", {"username": "ana", "password": "long enough"}),
        ("get", "/api/categories", None),
        ("get", "/api/categories/1000", None),
        ("get", "/api/mengla?primaryCatId=&timest=2025", None),
        ("post", "/api/mengla/high", {"catId": "1000", "timest": "2025"}),
        ("post", "/api/mengla/industry-trend", {"timest": "2025", "refresh": True}),
        ("get", "/api/mengla/records", None),
        ("get", "/api/panel-config", None),
        ("put", "/api/panel/config", {"layout": {"defaultPeriod": "day"}}),
        ("get", "/api/panel/tasks", None),
        ("post", "/api/panel/tasks/daily_collect/run", None),
        ("post", "/api/panel/data/fill", {"granularity": "year", "startDate": "2024", "endDate": "2024"}),
        ("get", "/api/mengla/collections/507f1f77bcf86cd799439011", None),
    ],
)
def test_what_needs_mongodb_says_so(
    method: str, path: str, body: Any, client: APIClient, mongo_goes_down: Callable[[], None]
) -> None:
    mongo_goes_down()
    for _ in range(2):
        assert_unavailable(getattr(client, method)(path, body), "MongoDB")


def test_an_uncached_token_cannot_be_checked_without_mongodb(
    client: APIClient, mongo_goes_down: Callable[[], None]
) -> None:
    mongo_goes_down()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {new_api_token()}")
    assert_unavailable(client.get("/api/auth/me"), "MongoDB")


def test_after_mongodb_is_back_everything_is_as_before(
    client: APIClient, mongo_goes_down: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    mongo_goes_down()
    assert client.get("/api/auth/tokens").status_code == 503
    monkeypatch.undo()
    # What a process remembers of an outage is over in a moment; the test does not wait for it.
    outages.mongo_outage.forget()
    assert client.get("/api/auth/tokens").status_code == 200


@pytest.mark.parametrize("route", ROUTES, ids=str)
def test_no_address_crashes_without_redis(
    route: Route, client: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: Any, **_kwargs: Any) -> Any:
        raise redis.ConnectionError("Error 111 connecting to 10.0.0.1:6379")

    monkeypatch.setattr(redis.connection.ConnectionPool, "get_connection", refuse)
    for method in METHODS:
        for _ in range(2):
            response = getattr(client, method)(route.path())
            assert_contract(response, of=f"{method} {route}")
            assert response.status_code < 500 or response.status_code == 503
            assert "10.0.0.1" not in response.content.decode()
            outages.redis_outage.forget()


@pytest.mark.parametrize(
    "error",
    [
        redis.TimeoutError("Timeout connecting to 10.0.0.1:6379"),
        redis.exceptions.OutOfMemoryError("command not allowed when used memory > 'maxmemory'."),
        redis.exceptions.ReadOnlyError("You can't write against a read only replica."),
        redis.ResponseError("MISCONF Redis is configured to save RDB snapshots"),
        redis.ResponseError("Command # 1 (SET a b) of pipeline caused error: NOREPLICAS Not enough good"),
    ],
    ids=["silent", "full", "replica", "cannot save", "alone"],
)
def test_an_unexpected_outage_of_redis_is_503(
    client: APIClient, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def refuse(*_args: Any, **_kwargs: Any) -> Any:
        raise error

    monkeypatch.setattr(services, "create_token", refuse)
    assert_unavailable(client.post("/api/auth/generate-token", {"label": "new one"}), "Redis")
