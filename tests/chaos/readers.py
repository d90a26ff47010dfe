"""Readers: they ask for figures all the time, and keep what they got for the checks."""

from __future__ import annotations

import hashlib
import itertools
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import httpx
import orjson

from apps.mengla.choices import Action
from tests.chaos.installation import Installation
from tests.integration.parts import new_client
from tests.integration.questions import CATEGORIES, RANKINGS, Question

HIT, MISS, WAIT, EXPORT, CONDITIONAL, REFRESH = "hit", "miss", "wait", "export", "conditional", "refresh"
KINDS = (HIT, HIT, HIT, HIT, CONDITIONAL, MISS, WAIT, EXPORT, REFRESH)
WAIT_SECONDS = 4
NOT_AS_DESCRIBED = "not as described"
_FIRST_DAY = date(2023, 1, 1)
_OWN_DAYS = 40  # of each reader; their misses are different ones
_PAUSE_SECONDS = (0.02, 0.15)
_DAYS = ("2022-01-01", "2022-01-02", "2022-01-03")
_YEARS = ("2021", "2022", "2023", "2024")
# Figures that all readers ask for: stale ones of years, which are always being renewed, days, and trends.
POPULAR = (
    *(Question(action, cat_id, year) for year in _YEARS for action in RANKINGS for cat_id in CATEGORIES[:2]),
    *(
        Question(Action.INDUSTRY_VIEW, cat_id, f"2022-01-0{day}")
        for cat_id in CATEGORIES
        for day in (1, 2, 3)
    ),
    *(Question(Action.INDUSTRY_TREND, cat_id, "2022-01-09", start="2022-01-05") for cat_id in CATEGORIES),
    *(Question(Action.INDUSTRY_TREND, cat_id, "2022-01-12", start="2022-01-08") for cat_id in CATEGORIES),
)

LASTING = tuple(one for one in POPULAR if one.timest not in _YEARS)
_CALM_KINDS = (HIT, CONDITIONAL, EXPORT)


@dataclass(frozen=True)
class Read:
    """One request of a reader; ``outcome`` is a status, or the name of what broke the connection."""

    kind: str
    began: float
    ended: float
    outcome: str
    detail: str = ""


@dataclass(eq=False)
class Body:
    """A body that a reader got with 200, once for each different one."""

    question: Question
    data: Any
    at: float


@dataclass
class Taken:
    """What all readers got."""

    reads: list[Read] = field(default_factory=list)
    bodies: dict[str, Body] = field(default_factory=dict)
    exports: dict[str, tuple[str, bytes, float]] = field(default_factory=dict)
    promised: dict[str, str] = field(default_factory=dict)  # ids of collections, with the identity


class Reader(threading.Thread):
    """Reads with a token of its own until it is stopped."""

    def __init__(self, number: int, installation: Installation, token: str, taken: Taken) -> None:
        super().__init__(name=f"reader {number}", daemon=True)
        self._installation = installation
        self._token = token
        self._taken = taken
        self._luck = random.Random(f"reader-{installation.seed}-{number}")
        self._is_over = threading.Event()
        self._tags: dict[str, str] = {}
        self._new = _own_questions(number)
        self._kinds, self._questions = KINDS, POPULAR

    def calm_down(self) -> None:
        """From now on, read only what is stored and stays fresh, so that nothing new is collected."""
        self._kinds, self._questions = _CALM_KINDS, LASTING

    def stop(self) -> None:
        """End after the present request."""
        self._is_over.set()

    def run(self) -> None:
        """Read."""
        client = self._new_client()
        while not self._is_over.wait(self._luck.uniform(*_PAUSE_SECONDS)):
            kind = self._luck.choice(self._kinds)
            began = time.time()
            try:
                outcome, detail = self._read(kind, client)
            except httpx.TransportError as error:
                outcome, detail = type(error).__name__, str(error)
                client.close()
                client = self._new_client()
            except Exception as error:  # it does not agree with the OpenAPI document, or cannot be read
                outcome, detail = NOT_AS_DESCRIBED, f"{type(error).__name__}: {error}"
            self._taken.reads.append(Read(kind, began, time.time(), outcome, detail))
        client.close()

    def _new_client(self) -> httpx.Client:
        return new_client(self._installation.url, self._token)

    def _read(self, kind: str, client: httpx.Client) -> tuple[str, str]:
        if kind == EXPORT:
            return self._export(client)
        is_new = kind in (MISS, WAIT)
        question = next(self._new) if is_new else self._luck.choice(self._questions)
        parameters: dict[str, Any] = dict(question.parameters)
        headers = {}
        if kind == WAIT:
            parameters["wait"] = WAIT_SECONDS
        elif kind == REFRESH:
            parameters["refresh"] = "true"
        elif kind == CONDITIONAL and question.identity in self._tags:
            headers["If-None-Match"] = self._tags[question.identity]
        response = client.get("/api/mengla/", params=parameters, headers=headers)
        self._keep(question, response)
        return str(response.status_code), "" if response.is_success else response.text[:500]

    def _keep(self, question: Question, response: httpx.Response) -> None:
        if response.status_code == httpx.codes.ACCEPTED:
            self._taken.promised[response.json()["data"]["collection"]["id"]] = question.identity
        elif response.status_code == httpx.codes.OK:
            self._tags[question.identity] = response.headers["ETag"]
            digest = hashlib.sha256(response.content).hexdigest()
            key = f"{question.identity} {digest}"
            if key not in self._taken.bodies:
                data = orjson.loads(response.content)["data"]
                self._taken.bodies[key] = Body(question, data, time.time())

    def _export(self, client: httpx.Client) -> tuple[str, str]:
        action = self._luck.choice(RANKINGS)
        response = client.get(
            "/api/mengla/export",
            params={"action": action.value, "catIds": ",".join(CATEGORIES), "from": "2021", "to": "2024"},
        )
        if response.status_code == httpx.codes.OK:
            digest = hashlib.sha256(response.content).hexdigest()
            self._taken.exports.setdefault(digest, (action.value, response.content, time.time()))
        return str(response.status_code), "" if response.is_success else response.text[:500]


def start_readers(installation: Installation, count: int) -> tuple[list[Reader], Taken]:
    """Start readers, each with a token of its own."""
    taken = Taken()
    tokens = [installation.create_token()[0] for _ in range(count)]
    readers = [Reader(number, installation, token, taken) for number, token in enumerate(tokens)]
    for reader in readers:
        reader.start()
    return readers, taken


def _own_questions(number: int) -> Iterator[Question]:
    """Yield questions that no other reader asks."""
    first = _FIRST_DAY + timedelta(days=number * _OWN_DAYS)
    for offset in itertools.count():
        day = first + timedelta(days=offset % _OWN_DAYS)
        for action in RANKINGS:
            for cat_id in CATEGORIES:
                yield Question(action, cat_id, day.isoformat())
