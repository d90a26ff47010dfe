"""What no schema can say: requests that are as the document describes, and are refused all the same.

Each kind has an example, which the tests send, so the list does not outlive its reasons.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

_WRONG_FORM = r"is a \w+, but a \w+ is needed here|is not the (first|last) day of a|have the same granularity"
_FIGURES = "primaryCatId=4200&timest=2025-06"
_PERIODS = ("timest", "starRange", "endRange")


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A kind of refusal: the messages that it has, and an example of the request."""

    messages: str
    method: str
    path: str
    query: str = ""
    body: Any = None
    is_of_url: bool = False
    is_of_number: bool = False


REFUSALS = {
    # What is stored.
    "an unknown category": Refusal(
        messages=r"There is no such category",
        method="POST",
        path="/api/mengla/hot",
        body={"catId": 9999, "timest": "2025-06"},
    ),
    "a cursor of another list": Refusal(
        messages=r"Invalid cursor\.", method="GET", path="/api/mengla/records", query="cursor=abc"
    ),
    "the modules of the panel together": Refusal(
        messages=r"This module is listed twice|already has this order",
        method="PUT",
        path="/api/panel-config",
        body={"modules": [{"id": "hot"}, {"id": "hot"}]},
    ),
    # The calendar and the clock.
    "a period that has not begun": Refusal(
        messages=r"has not begun", method="POST", path="/api/mengla/hot", body={"timest": "2099"}
    ),
    "a number that is no date": Refusal(
        messages=rf"is not a (day|month|quarter|year|period) of|{_WRONG_FORM}",
        method="POST",
        path="/api/mengla/hot",
        body={"timest": 200013},
        is_of_number=True,
    ),
    # Several values together, and several parameters of a URL.
    "a range": Refusal(
        messages=r"Must not be after|The range has|Does not match timest|Must lie between",
        method="POST",
        path="/api/admin/mengla/status",
        body={"granularity": "month", "startDate": "2025-02", "endDate": "2025-01"},
    ),
    "parameters of a URL together": Refusal(
        messages=rf"{_WRONG_FORM}|This field is required with",
        method="GET",
        path="/api/mengla",
        query=f"{_FIGURES}&dateType=year",
        is_of_url=True,
    ),
    "a category named twice": Refusal(
        messages=r"Must not name a category twice",
        method="GET",
        path="/api/mengla/export",
        query="action=hot&from=2025&to=2025&catIds=4200,4200",
    ),
    # Free JSON: in a URL, too large or too deep, or with names that the service needs itself.
    "JSON in a URL": Refusal(
        messages=r"must be valid JSON|Must be a JSON object",
        method="GET",
        path="/api/mengla",
        query=f"{_FIGURES}&extra=x",
        is_of_url=True,
    ),
    "free JSON": Refusal(
        messages=r"plain JSON values only|Is too large|Must not contain:",
        method="POST",
        path="/api/mengla/hot",
        body={"timest": "2025-06", "extra": {"catId": "1"}},
    ),
}


def excuse(failure: Any, case: Any, response: Any) -> str | None:
    """Return the kind of refusal that a failed check is about, None if it is about anything else."""
    if "positive_data_acceptance" not in failure.checks or response.status_code != 400:
        return None
    return kind_of(case.method, case.body, json.loads(response.content))


def kind_of(method: str, body: Any, error: dict[str, Any]) -> str | None:
    """Return the kind of the first message of a refusal, None if any message is of no kind."""
    messages = [message for texts in error.get("fields", {}).values() for message in texts]
    found = [_kind_of(message, method, body) for message in messages]
    return None if None in found or not found else found[0]


def _kind_of(message: str, method: str, body: Any) -> str | None:
    for name, refusal in REFUSALS.items():
        if refusal.is_of_url and method != "GET":
            continue
        if refusal.is_of_number and not _has_number(body):
            continue
        if re.search(refusal.messages, message):
            return name
    return None


def _has_number(body: Any) -> bool:
    """Whether a period of the body is a number."""
    values = [body.get(name) for name in _PERIODS] if isinstance(body, dict) else []
    return any(isinstance(value, int | float) for value in values)
