"""What the tests of the operators' addresses share."""

from __future__ import annotations

from typing import Any

from rest_framework.test import APIClient

BASE = "/api/admin"
# What no field may turn into something else, or into a crash.
ODD_VALUES: tuple[Any, ...] = (
    1.5,
    "",
    "\x00",
    "x" * 5000,
    "１",
    "😀",
    {"$ne": 1},
    [[]],
    [None],
    {"a": {"b": [1]}},
    10**30,
    -1,
)


def data_of(response: Any, status: int = 200) -> Any:
    """Return what a successful answer holds."""
    body = response.json()
    assert response.status_code == status, body
    assert set(body) == {"success", "data", "message"}
    assert body["success"] is True
    return body["data"]


def error_of(response: Any, status: int, code: str) -> dict[str, Any]:
    """Return the body of an error, which is short whatever was sent."""
    body: dict[str, Any] = response.json()
    assert response.status_code == status, body
    assert (body["success"], body["error"]) == (False, code)
    assert len(str(body)) < 2000
    return body


def assert_invalid(client: APIClient, path: str, body: Any, *fields: str) -> None:
    """The body is refused, and the answer names these fields."""
    reported = error_of(client.post(BASE + path, body), 400, "VALIDATION_ERROR")
    assert set(fields) <= set(reported["fields"]), reported


def assert_hostile_is_invalid(client: APIClient, path: str, good: dict[str, Any], *names: str) -> None:
    """Every odd value in the place of each of the names is a 400."""
    for name in names:
        for odd in ODD_VALUES:
            reported = error_of(client.post(BASE + path, good | {name: odd}), 400, "VALIDATION_ERROR")
            assert any(field.startswith(name) for field in reported["fields"]), (name, odd, reported)
    for body in ([], [good], "text", 5, True):
        error_of(client.post(BASE + path, body), 400, "VALIDATION_ERROR")
