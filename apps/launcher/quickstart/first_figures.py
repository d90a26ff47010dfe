"""Collects one month of one category as a client does: over the public API."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self
from zoneinfo import ZoneInfo

import httpx

from apps.launcher.quickstart import QuickstartError

ACTION = "hot"
WAIT_SECONDS = 30
REQUEST_TIMEOUT_SECONDS = WAIT_SECONDS + 30
POLL_SECONDS = 1.0
BUSINESS_TIME_ZONE = ZoneInfo("Asia/Shanghai")
MARKET_HEADERS = ("X-MengLa-Source", "X-MengLa-Freshness", "Age")
ORDINARY_WAITS = ("queued", "in_flight", "no_worker")
ENDED = ("SUCCEEDED", "EMPTY", "FAILED", "CANCELLED")


class LoginRefusedError(QuickstartError):
    """The password of the admin in this database is not the one in the environment."""


@dataclass(frozen=True, kw_only=True)
class Figures:
    """One month of one category as the API served it."""

    category: str
    month: str
    address: str
    rows: list[dict[str, Any]]
    headers: dict[str, str]
    was_collected: bool


class Api:
    """A client of the API of one running product."""

    def __init__(self, base_url: str) -> None:
        # Without trust_env: a proxy of the environment must not receive requests to this machine.
        self._client = httpx.Client(
            base_url=base_url, timeout=REQUEST_TIMEOUT_SECONDS, trust_env=False, follow_redirects=False
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def log_in(self, *, username: str, password: str) -> None:
        """Get a token and send it from now on.

        :raises LoginRefusedError: when the password is wrong.
        """
        response = self._request("POST", "/api/auth/login", json={"username": username, "password": password})
        self._client.headers["Authorization"] = f"Bearer {response.json()['data']['token']}"

    def get(self, address: str, **parameters: Any) -> httpx.Response:
        """GET an address.

        :raises QuickstartError: with the message of the API, when it returns an error.
        """
        return self._request("GET", address, params=parameters or None)

    def _request(self, method: str, address: str, **options: Any) -> httpx.Response:
        try:
            response = self._client.request(method, address, **options)
        except httpx.HTTPError as error:
            raise QuickstartError(f"{method} {address} got no response: {error!r}") from error
        try:
            body = response.json()
        except ValueError:
            body = None
        if not isinstance(body, dict) or not body.get("success"):
            is_refused = response.status_code == httpx.codes.UNAUTHORIZED
            kind = LoginRefusedError if is_refused else QuickstartError
            raise kind(f"{method} {address} returned {response.status_code}: {_reason(response, body)}")
        return response


def collect_first_figures(
    api: Api,
    *,
    check: Callable[[], None],
    say: Callable[[str], None],
    now: datetime,
    timeout_seconds: float,
) -> Figures:
    """Request last month's best sellers of the first category; return them once they are collected.

    ``check`` is called while waiting; it raises when a part of the product has ended.

    :raises QuickstartError: when there are no figures, or the collection fails, takes too long, or cannot be
        sent to the service.
    """
    categories = api.get("/api/categories").json()["data"]
    first = categories[0] if categories else {"catId": "all"}
    names = dict.fromkeys(str(first[key]) for key in ("catNameCn", "catName") if first.get(key))
    name = " / ".join(names) or "all categories"
    month = last_closed_month(now)
    query = {"primaryCatId": first["catId"], "timest": month, "action": ACTION}
    deadline = time.monotonic() + timeout_seconds
    response = api.get("/api/mengla/", **query, wait=WAIT_SECONDS)
    was_stored = response.status_code == httpx.codes.OK and response.headers.get("X-MengLa-Source") != "fresh"
    while response.status_code == httpx.codes.ACCEPTED:
        say(f"Collecting: {response.json()['message']}")
        _wait_for_end(api, response.headers["Location"], deadline=deadline, check=check)
        response = api.get("/api/mengla/", **query)
    rows = _rows(response.json()["data"])
    if not rows:
        raise QuickstartError(f"The collection service has no figures for {name} in {month}.")
    return Figures(
        category=name,
        month=month,
        address=str(response.url),
        rows=rows,
        headers={header: response.headers[header] for header in MARKET_HEADERS if header in response.headers},
        was_collected=not was_stored,
    )


def last_closed_month(now: datetime) -> str:
    """Return the month before the current one in the market's time zone, such as ``2026-10``."""
    first_day = now.astimezone(BUSINESS_TIME_ZONE).replace(day=1)
    return f"{first_day - timedelta(days=1):%Y-%m}"


def _wait_for_end(api: Api, address: str, *, deadline: float, check: Callable[[], None]) -> None:
    while True:
        check()
        collection = api.get(address).json()["data"]
        if collection["status"] in ("FAILED", "CANCELLED"):
            reason = collection.get("error_message") or collection.get("error_code") or collection["status"]
            raise QuickstartError(f"The collection failed: {reason}")
        if collection["status"] in ENDED:
            return
        waiting = collection["waiting"]
        if waiting is not None and (collection["refusals"] or waiting["code"] not in ORDINARY_WAITS):
            raise QuickstartError(f"The collection waits: {waiting['message']}")
        if time.monotonic() > deadline:
            raise QuickstartError("The collection did not end in time.")
        time.sleep(POLL_SECONDS)


def _reason(response: httpx.Response, body: Any) -> str:
    if not isinstance(body, dict):
        return response.text[:300]
    return " ".join(str(body[key]) for key in ("message", "detail") if body.get(key))


def _rows(data: Any) -> list[dict[str, Any]]:
    rows = data.get("list", []) if isinstance(data, dict) else data
    return [row for row in rows or [] if isinstance(row, dict)]
