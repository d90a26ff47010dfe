"""Operators: they start, cancel, repeat and delete through the API, and note what was accepted."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import httpx
from pymongo.errors import PyMongoError

from tests.chaos.installation import Installation
from tests.chaos.readers import NOT_AS_DESCRIBED
from tests.chaos.sampling import Sampler
from tests.integration.parts import new_client
from tests.integration.questions import CATEGORIES

FILL, TASK, CANCEL, RETRY, DELETE, CANCEL_ALL = "fill", "start", "cancel", "retry", "delete", "cancel all"
PAUSE, RESUME, RESET, SILENCE = "pause", "resume", "reset the breaker", "silence"
_PAUSE_SECONDS = (0.4, 1.2)
_MANY_PENDING = 30  # beyond that nothing is added, so that the end of a trial does not take long
_FILL_DAYS = (2, 5)
_FIRST_DAY = date(2025, 1, 1)
_RULE = "low_cache_hit_rate"
# How often each action is chosen, where it is possible.
_WEIGHTS = {FILL: 6, TASK: 1, CANCEL: 2, RETRY: 2, DELETE: 2, CANCEL_ALL: 0.3}
_WEIGHTS |= {PAUSE: 0.7, RESUME: 0.7, RESET: 1, SILENCE: 0.7}
Document = Mapping[str, Any]


@dataclass(frozen=True)
class Act:
    """One request of an operator; ``outcome`` is a status, or the name of what broke the connection.

    ``run_id`` is the run that it began or was about, ``data`` that of the response.
    """

    name: str
    began: float
    ended: float
    outcome: str
    detail: str = ""
    run_id: str = ""
    data: Any = None

    @property
    def is_accepted(self) -> bool:
        """Whether the response said that it is done or will be."""
        return self.outcome in ("200", "202")

    @property
    def may_have_worked(self) -> bool:
        """Whether it was accepted, or the response was lost."""
        return self.is_accepted or not self.outcome.isdigit() or self.outcome.startswith("5")


@dataclass
class Done:
    """What the operators did. ``collections`` are those of runs before their deletion, by id."""

    acts: list[Act] = field(default_factory=list)
    collections: dict[str, Document] = field(default_factory=dict)

    def accepted(self, *names: str) -> list[Act]:
        """Return the accepted acts of these names."""
        return [one for one in self.acts if one.is_accepted and one.name in names]

    def possible(self, *names: str) -> list[Act]:
        """Return the acts of these names that may have worked."""
        return [one for one in self.acts if one.may_have_worked and one.name in names]


class Operator(threading.Thread):
    """Acts until it is stopped."""

    def __init__(self, number: int, installation: Installation, sampler: Sampler, done: Done) -> None:
        super().__init__(name=f"operator {number}", daemon=True)
        self._installation = installation
        self._sampler = sampler
        self._done = done
        self._luck = random.Random(f"operator-{installation.seed}-{number}")
        self._is_over = threading.Event()
        self._day = _FIRST_DAY + timedelta(days=150 * number)
        self._runs: list[str] = []

    def stop(self) -> None:
        """End after the present request."""
        self._is_over.set()

    def run(self) -> None:
        """Act."""
        while not self._is_over.wait(self._luck.uniform(*_PAUSE_SECONDS)):
            names, weights = zip(*_WEIGHTS.items(), strict=True)
            name = self._luck.choices(names, weights)[0]
            if name in (FILL, TASK, RETRY) and self._sampler.pending > _MANY_PENDING:
                continue
            if name in (CANCEL, RETRY, DELETE) and not self._runs:
                continue
            self.act(name)

    def act(self, name: str) -> Act | None:
        """Do one action now; returns what came of it, None if it was not possible."""
        steps: dict[str, Callable[[httpx.Client], tuple[httpx.Response, str]]] = {
            FILL: self._fill,
            TASK: lambda client: (client.post("/api/panel/tasks/mengla_single_day/run"), ""),
            CANCEL: lambda client: self._on_run(client, "cancel"),
            RETRY: lambda client: self._on_run(client, "retry"),
            DELETE: self._delete_run,
            CANCEL_ALL: lambda client: (
                client.post("/api/admin/tasks/cancel-all", json={"confirm": True}),
                "",
            ),
            PAUSE: lambda client: (client.post("/api/admin/scheduler/pause"), ""),
            RESUME: lambda client: (client.post("/api/admin/scheduler/resume"), ""),
            RESET: lambda client: (client.post("/api/admin/circuit-breakers/reset"), ""),
            SILENCE: self._silence,
        }
        began, run_id, data, detail = time.time(), "", None, ""
        try:
            with new_client(self._installation.url, self._installation.token) as client:
                response, run_id = steps[name](client)
                outcome, detail = (
                    str(response.status_code),
                    "" if response.is_success else response.text[:500],
                )
                data = response.json().get("data") if response.is_success else None
        except httpx.TransportError as error:
            outcome, detail = type(error).__name__, str(error)
        except PyMongoError:
            return None  # what it would delete is not known
        except Exception as error:
            outcome, detail = NOT_AS_DESCRIBED, f"{type(error).__name__}: {error}"
        if name in (FILL, TASK, RETRY) and isinstance(data, Mapping):
            self._runs.append(data["sync_task_id"])
        done = Act(name, began, time.time(), outcome, detail, run_id, data)
        self._done.acts.append(done)
        return done

    def _fill(self, client: httpx.Client) -> tuple[httpx.Response, str]:
        days = self._luck.randint(*_FILL_DAYS)
        start, self._day = self._day, self._day + timedelta(days=days)
        body = {
            "granularity": "day",
            "startDate": start.isoformat(),
            "endDate": (self._day - timedelta(days=1)).isoformat(),
            "catId": self._luck.choice(CATEGORIES),
        }
        if self._luck.random() < 0.5:
            body["actions"] = ["hot", "industryTrendRange"]
        return client.post("/api/panel/data/fill", json=body), ""

    def _on_run(self, client: httpx.Client, verb: str) -> tuple[httpx.Response, str]:
        run_id = self._luck.choice(self._runs)
        return client.post(f"/api/sync-tasks/{run_id}/{verb}"), run_id

    def _delete_run(self, client: httpx.Client) -> tuple[httpx.Response, str]:
        run_id = self._luck.choice(self._runs)
        wanted = (
            "identity",
            "status",
            "has_reader",
            "run_ids",
            "execution_id",
            "past_executions",
            "attempt_log",
        )
        found = self._installation.database.mengla_collections.find(
            {"run_ids": run_id}, dict.fromkeys(wanted, 1)
        )
        for collection in found:
            self._done.collections[str(collection["_id"])] = collection
        path = f"/api/sync-tasks/{run_id}"
        return client.request("DELETE", path, json={"delete_data": True}), run_id

    def _silence(self, client: httpx.Client) -> tuple[httpx.Response, str]:
        body = {"rule_name": _RULE, "duration_minutes": self._luck.randint(5, 500), "reason": "chaos"}
        return client.post("/api/admin/alerts/silence", json=body), ""
