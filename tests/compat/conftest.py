"""An installation with COMPAT_API; the recorded calls of the former program's client."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import time_machine
from rest_framework.test import APIClient

CALLS: dict[str, dict[str, Any]] = {
    call["kind"]: call
    for line in (Path(__file__).parent / "calls.jsonl").read_text(encoding="utf-8").splitlines()
    for call in [json.loads(line)]
}
PREFIX = "/compat"


# Two hours into the market's 29 November 2026.
NIGHT_OF_THE_RECORDING = datetime.fromisoformat("2026-11-29T02:30:00+08:00")


@pytest.fixture(autouse=True)
def _night_of_the_recording(settings: Any) -> Iterator[None]:
    """Be in that night; no record expires before the clock of MongoDB's server."""
    for granularity in ("DAY", "MONTH", "QUARTER", "YEAR"):
        setattr(settings, f"RETENTION_{granularity}_DAYS", 36_500)
    with time_machine.travel(NIGHT_OF_THE_RECORDING, tick=True):
        yield


@pytest.fixture(autouse=True)
def _compatible(settings: Any) -> None:
    settings.COMPAT_API = True
    settings.API_ROOTS = ("/api", f"{PREFIX}/api")
    settings.CORS_URLS_REGEX = r"^(?:/api|/compat/api)/.*$"
    settings.ROOT_URLCONF = "tests.compat.urls"
    settings.COMPAT_WAIT_SECONDS = 0


def send(client: APIClient, kind: str, *, path: str = "", **changes: Any) -> Any:
    """Send a recorded request to the compatible address; ``changes`` replace fields of its body."""
    call = CALLS[kind]
    body = call["body"]
    if changes:
        body = {name: value for name, value in {**(body or {}), **changes}.items() if value is not ...}
    address = PREFIX + (path or call["path"])
    return getattr(client, call["method"].lower())(address, data=body)


def assert_as_recorded(response: Any, kind: str, *, values: bool = False) -> Any:
    """The status is the recorded one, and every recorded key is there with a value of the same JSON type.

    With ``values`` the values are equal, too, but for texts and tokens. Returns the body.
    """
    call = CALLS[kind]
    assert response.status_code == call["status"], response.content[:500]
    body = json.loads(response.content)
    assert_shape(body, call["answer"], at=kind, values=values)
    return body


def assert_shape(found: Any, recorded: Any, *, at: str, values: bool) -> None:
    """Compare recursively; recorded lists are shortened, so a list found may be longer."""
    if recorded in ("(text)", "(token)"):
        assert isinstance(found, str) and found, at
    elif isinstance(recorded, dict):
        assert isinstance(found, dict), f"{at}: {found!r}"
        for name, value in recorded.items():
            assert name in found, f"{at}.{name} is missing"
            assert_shape(found[name], value, at=f"{at}.{name}", values=values)
    elif isinstance(recorded, list):
        assert isinstance(found, list), f"{at}: {found!r}"
        if values:
            assert len(found) >= len(recorded), at
        for index, (one, other) in enumerate(zip(found, recorded, strict=False)):
            assert_shape(one, other, at=f"{at}[{index}]", values=values)
    elif values:
        assert found == recorded, f"{at}: {found!r} is not {recorded!r}"
    else:
        assert json_type(found) == json_type(recorded), f"{at}: {found!r} is not like {recorded!r}"


def json_type(value: Any) -> str:
    """The type of a JSON value; a text that holds an instant or a day is one of its own."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ].*)?", value):
        return "instant" if len(value) > 10 else "day"
    if isinstance(value, bool) or value is None:
        return str(type(value))
    return "number" if isinstance(value, int | float) else type(value).__name__
