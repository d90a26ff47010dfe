"""The whole product as real processes: web workers, worker clusters, the simulator, databases of its own."""

from __future__ import annotations

import os
import re
import secrets
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import httpx
import pymongo
import redis
from bson import ObjectId

from apps.core import market_clock
from apps.launcher.processes import ManagedProcess, Stoppable
from apps.mengla.choices import FINAL_STATUSES
from apps.mengla.simulator.knobs import Knobs
from apps.mengla.simulator.server import Simulator
from apps.mengla.simulator.state import SimulatorConfig
from apps.mengla.store.figures import PARTIAL_HEADER
from tests.http import METRICS_HEADERS
from tests.integration.databases import Databases, SharedServers
from tests.integration.parts import Caller, Cluster, WebServer, new_client
from tests.integration.questions import Question, Questions
from tests.integration.waiting import at_once, wait_until
from tests.parallel import own_port
from tests.programs import ROOT

HEALTHY = Knobs(delay_seconds=0.05, concurrency=16)
LOG_LINES = 40
_IN_HALF_A_YEAR = datetime.now(UTC) + timedelta(days=180)
NEVER = f"0 0 {_IN_HALF_A_YEAR.day} {_IN_HALF_A_YEAR.month} *"
ENDED = frozenset(status.value for status in FINAL_STATUSES)
# Everything a test waits for in the order of seconds; long timeouts belong to the tests that need them.
QUICK = {
    "COLLECT_INTERVAL_SECONDS": "0",
    "COLLECT_RETRY_DELAY_SECONDS": "0.2",
    "COLLECT_MAX_ATTEMPTS": "2",
    "COLLECT_REQUEST_TIMEOUT_SECONDS": "2",
    "MAX_INFLIGHT_REQUESTS": "4",
    "MENGLA_TIMEOUT_SECONDS": "5",
    "TTL_YEAR_SECONDS": "1",
    # A schedule that fires at some hour would disturb whatever test it meets; tests make theirs due.
    "CRON_DAILY_COLLECT": NEVER,
    "CRON_MONTHLY_COLLECT": NEVER,
    "CRON_QUARTERLY_COLLECT": NEVER,
    "CRON_YEARLY_COLLECT": NEVER,
    "CRON_BACKFILL_CHECK": NEVER,
}
UP_SAMPLES = {f'collector_up{{dependency="{name}"}} 1.0' for name in ("mongodb", "redis")}
FORK = re.compile(r"\bfork|after_in_child", re.IGNORECASE)
Document = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Shape:
    """How many processes a stack has, and what its environment says besides :data:`QUICK`."""

    web_workers: int = 2
    web_threads: int = 4
    clusters: int = 1
    queue_workers: int = 2
    variables: Mapping[str, str] = field(default_factory=dict)


class Stack:
    """A running product; a context manager that stops every process and deletes its databases."""

    def __init__(
        self,
        name: str,
        directory: Path,
        shape: Shape,
        *,
        databases: Databases | None = None,
        next_port: Callable[[], int] = own_port,
    ) -> None:
        self.name = name
        self.directory = directory
        self.shape = shape
        self.questions = Questions()
        self.databases: Databases = databases or SharedServers(name)
        self.simulator = self._make_simulator()
        self.token = ""
        self.url = f"http://127.0.0.1:{next_port()}"
        self.clusters: list[Cluster] = []
        self._secrets = {self.simulator.config.api_key, self.simulator.config.webhook_secret}
        self._processes: list[Stoppable] = []
        self._callers = 0
        self._mongo: pymongo.MongoClient[Document] = pymongo.MongoClient(self.databases.mongo_uri)

    # --- Start and stop ---------------------------------------------------------------------------

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop all processes, which takes as long as the slowest, and delete the databases."""
        try:
            at_once(process.stop for process in self._processes)
        finally:
            self.simulator.stop()
            self._mongo.close()
            self.databases.close()

    def _make_simulator(self) -> Simulator:
        return Simulator(
            SimulatorConfig(
                env="test",
                api_key=secret(),
                webhook_secret=secret(),
                knobs=HEALTHY,
                webhook_attempts=8,
                webhook_retry_seconds=0.25,
            )
        )

    def _start(self) -> None:
        self.simulator.start()
        self.environment = self._environment()
        self.caller = self.start_caller()
        self.caller.call("tests.integration.jobs.prepare")
        for _ in range(self.shape.clusters):
            self.start_cluster()
        if self.shape.web_workers:
            self.start_web()
            self.web.wait_until_ready()
            self.token = self._log_in()
        for cluster in self.clusters:
            cluster.wait_until_ready()

    def start_web(self) -> None:
        """Start the web server without waiting for it."""
        port = str(urlsplit(self.url).port)
        process = self._start_command("web", "serve", "--host", "127.0.0.1", "--port", port)
        self.web = WebServer(process, self.url, self.shape.web_workers)

    def start_other_web(self, name: str, variables: Mapping[str, str]) -> WebServer:
        """Start one more web server, of a host with other variables, without waiting for it."""
        port = str(own_port())
        command = ("serve", "--host", "127.0.0.1", "--port", port)
        process = self._start_command(name, *command, variables=variables)
        return WebServer(process, f"http://127.0.0.1:{port}", self.shape.web_workers)

    def start_cluster(self, variables: Mapping[str, str] | None = None) -> Cluster:
        """Start one more worker cluster, also of a host with other variables, without waiting for it."""
        name = f"cluster-{len(self.clusters) + 1}"
        process = self._start_command(name, "qcluster", variables=variables or {})
        self.clusters.append(Cluster(process, self.shape.queue_workers))
        return self.clusters[-1]

    def dispatches(self) -> Cluster | None:
        """Return the cluster that is talking to the collection service, if any."""
        return next((one for one in self.clusters if one.talks_to(self.simulator.port)), None)

    def dispatching_cluster(self) -> Cluster:
        """Wait until a cluster is talking to the collection service, and return it."""
        return wait_until(
            self.dispatches, timeout_seconds=20, what="a cluster talks to the collection service"
        )

    def kill(self, cluster: Cluster) -> None:
        """kill -9 of a cluster with all its processes."""
        cluster.process.kill()
        self.clusters.remove(cluster)

    def start_caller(self, *, ahead_seconds: float = 0.0) -> Caller:
        """Start a child process that calls functions of the product, as on a host whose clock is off."""
        self._callers += 1
        log_path = self.directory / f"caller-{self._callers}.log"
        caller = Caller(self.environment, log_path, ahead_seconds=ahead_seconds)
        self._processes.append(caller)
        return caller

    def _start_command(
        self, name: str, *command: str, variables: Mapping[str, str] | None = None
    ) -> ManagedProcess:
        process = ManagedProcess(
            [sys.executable, "manage.py", *command],
            name=name,
            log_path=self.directory / f"{name}.log",
            env=self.environment | dict(variables or {}),
            cwd=ROOT,
        )
        self._processes.append(process)
        return process.start()

    def _environment(self) -> dict[str, str]:
        hidden = {name: secret() for name in ("SECRET_KEY", "JWT_SECRET", "ADMIN_PASSWORD")}
        self._secrets |= set(hidden.values())
        return {
            **{name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "PYTHONUNBUFFERED": "1",
            "PYTHONWARNINGS": "default",
            "ENV_FILE": "",
            "ENV": "test",
            "LOG_FORMAT": "json",
            "MONGO_URI": self.databases.mongo_uri,
            "MONGO_DB": self.databases.mongo_name,
            "REDIS_URI": self.databases.redis_uri,
            "APP_BASEURL": self.url,
            "COLLECT_SERVICE_URL": self.simulator.url,
            "COLLECT_SERVICE_API_KEY": self.simulator.config.api_key,
            "WEBHOOK_SECRET": self.simulator.config.webhook_secret,
            "METRICS_TOKEN": os.environ["METRICS_TOKEN"],
            "WEB_WORKERS": str(self.shape.web_workers or 1),
            "WEB_THREADS": str(self.shape.web_threads),
            "QUEUE_WORKERS": str(self.shape.queue_workers),
            **hidden,
            **QUICK,
            **self.shape.variables,
        }

    def _log_in(self) -> str:
        password = self.environment["ADMIN_PASSWORD"]
        with new_client(self.url) as client:
            answer = client.post("/api/auth/login", json={"username": "admin", "password": password})
        return self.remember(answer.json()["data"]["token"])

    # --- Asking -----------------------------------------------------------------------------------

    def client(self, token: str | None = None) -> httpx.Client:
        """Return a client with one connection; without a token of its own it is the admin's."""
        return new_client(self.url, token or self.token)

    def get(self, path: str, **parameters: Any) -> httpx.Response:
        """GET as the admin, over a new connection."""
        with self.client() as client:
            return client.get(path, params=parameters)

    def post(self, path: str, **body: Any) -> httpx.Response:
        """POST as the admin, over a new connection."""
        with self.client() as client:
            return client.post(path, json=body)

    def delete(self, path: str) -> httpx.Response:
        """DELETE as the admin, over a new connection."""
        with self.client() as client:
            return client.delete(path)

    def ask(
        self, question: Question, *, client: httpx.Client | None = None, **parameters: Any
    ) -> httpx.Response:
        """Ask for figures."""
        if client is not None:
            return client.get("/api/mengla/", params=question.parameters | parameters)
        return self.get("/api/mengla/", **question.parameters | parameters)

    def ask_all(self, questions: Iterable[Question]) -> dict[str, Question]:
        """Send queries that were never sent before; returns them by the ids of their collections."""
        asked = {}
        with self.client() as client:
            for question in questions:
                asked[self.collection_id_of(question, self.ask(question, client=client))] = question
        return asked

    def collection_id_of(self, question: Question, answer: httpx.Response) -> str:
        """Return the id of the collection that this answer is about.

        Usually it is named; a reader whose process was slow gets the figures that have come meanwhile.
        """
        if answer.status_code == httpx.codes.ACCEPTED:
            return str(answer.json()["data"]["collection"]["id"])
        assert answer.status_code == httpx.codes.OK, answer.text
        assert answer.headers["X-MengLa-Source"] == "fresh"
        newest = {"sort": [("created_at", pymongo.DESCENDING)]}
        found = self.database.mengla_collections.find_one({"identity": question.identity}, **newest)
        assert found is not None, question
        return str(found["_id"])

    def collect(self, question: Question) -> httpx.Response:
        """Ask until the figures are served; of a trend all of them, for its points are stored one by one."""

        def served() -> httpx.Response | None:
            answer = self.ask(question)
            is_whole = answer.status_code == httpx.codes.OK and PARTIAL_HEADER not in answer.headers
            return answer if is_whole else None

        return wait_until(
            served,
            timeout_seconds=20,
            what=f"{question.identity} is collected",
        )

    def store(self, questions: Iterable[Question]) -> None:
        """Store the figures of days as if they had been collected and never read: in no cache.

        The records are made after one that was really collected.
        """
        example = self.database.mengla_data.find_one({"granularity": "day", "variant": "", "is_empty": False})
        assert example is not None, "collect something first"
        for question in questions:
            ((record_id, data),) = question.expected_records.items()
            identity = {
                "_id": record_id,
                "action": question.action.value,
                "cat_id": question.cat_id,
                "period_key": question.query.start.key,
            }
            self.database.mengla_data.insert_one(example | identity | {"data": data})

    def create_token(self, *, scope: str = "reader") -> tuple[str, str]:
        """Create an API token; returns its text and its id."""
        data = self.post("/api/auth/generate-token", label="integration", scope=scope).json()["data"]
        return self.remember(data["token"]), data["id"]

    def told_today(self, run: Document) -> Document:
        """Return a run as today's list tells it, or as it is when the market's day has ended meanwhile."""
        tasks = self.get("/api/sync-tasks/today").json()["data"]["tasks"]
        listed = next((one for one in tasks if one["id"] == run["id"]), None)
        if listed is None:
            began, now = datetime.fromisoformat(run["started_at"]), datetime.now(UTC)
            assert market_clock.day_of(began) < market_clock.day_of(now), run
        return listed or run

    # --- Looking into the databases ---------------------------------------------------------------

    @property
    def database(self) -> pymongo.database.Database[Document]:
        return self._mongo[self.databases.mongo_name]

    def redis(self) -> redis.Redis:
        """Return a client of the stack's Redis database; close it."""
        return redis.Redis.from_url(self.databases.redis_uri, socket_timeout=5)

    def collection(self, collection_id: str) -> Document:
        """Return a collection as it is stored."""
        found = self.database.mengla_collections.find_one({"_id": ObjectId(collection_id)})
        assert found is not None, collection_id
        return found

    def statuses(self, collection_ids: Iterable[str]) -> dict[str, str]:
        """Return the statuses of these collections."""
        criteria = {"_id": {"$in": [ObjectId(one) for one in collection_ids]}}
        return {str(one["_id"]): one["status"] for one in self.database.mengla_collections.find(criteria)}

    def wait_until_ended(self, collection_ids: Iterable[str], *, timeout_seconds: float = 30) -> set[str]:
        """Wait until all of these collections have ended; returns the statuses there are."""
        wanted = list(collection_ids)
        wait_until(
            lambda: ENDED.issuperset(self.statuses(wanted).values()),
            timeout_seconds=timeout_seconds,
            what=f"all of {len(wanted)} collections end",
        )
        return set(self.statuses(wanted).values())

    def assert_stored_once(self, questions: Iterable[Question]) -> None:
        """Assert that the figures of these questions are stored, the right ones and each exactly once."""
        for question in questions:
            query = question.query
            stored = self.database.mengla_data.find(
                {
                    "action": query.action.value,
                    "cat_id": query.cat_id,
                    "period_key": {"$in": [period.key for period in query.periods]},
                    "variant": query.variant,
                },
                sort=[("_id", pymongo.ASCENDING)],
            )
            found = [(record["_id"], record["data"]) for record in stored]
            assert found == sorted(question.expected_records.items())

    def tick(self) -> None:
        """Run the one-minute tick now."""
        self.caller.call("apps.mengla.tasks.tick")

    # --- Between tests ----------------------------------------------------------------------------

    def reset(self) -> None:
        """Bring a stack that several tests share back to rest: nothing queued, a healthy simulator."""
        self.simulator.reset_knobs()
        self.database.mengla_collections.delete_many({"active_key": {"$type": "string"}})
        assert self.simulator.wait_idle(20)
        # A request of before that still hangs would be counted as one of the next test.
        wait_until(
            lambda: self.dispatches() is None,
            timeout_seconds=20,
            what="no request to the collection service is in progress",
        )
        self.close_breaker()
        self.simulator.reset_stats()

    def close_breaker(self) -> None:
        """Forget what the breaker has counted."""
        with self.redis() as client:
            client.delete("mengla:breaker:collection_service")

    def wait_until_well(self) -> None:
        """Wait until no web process remembers an outage that a test before has made."""
        with self.web.clients(self.token) as by_worker:
            for (client,) in by_worker.values():
                wait_until(
                    lambda client=client: metrics_of(client) >= UP_SAMPLES,
                    timeout_seconds=30,
                    what="this process knows of no outage",
                )

    # --- Logs -------------------------------------------------------------------------------------

    def log_text(self) -> str:
        """Return everything all processes have written."""
        paths = sorted(self.directory.glob("*.log"))
        return "\n".join(path.read_text("utf-8", "replace") for path in paths)

    def log_tails(self) -> str:
        """Return the last lines of every log, for a test that failed."""
        parts = []
        for path in sorted(self.directory.glob("*.log")):
            lines = path.read_text("utf-8", "replace").splitlines()[-LOG_LINES:]
            parts.append("\n".join([f"--- {self.name}: {path.name}", *lines]))
        return "\n".join(parts)

    def remember(self, secret: str) -> str:
        """Keep a secret in mind that no log may hold."""
        self._secrets.add(secret)
        return secret

    def find_leaks(self) -> list[str]:
        """Return the log lines that hold a secret or a warning about forks."""
        tokens = self.database.mengla_collections.distinct("past_tokens")
        hidden = re.compile("|".join(map(re.escape, [*self._secrets, *tokens])))
        return [line for line in self.log_text().splitlines() if hidden.search(line) or FORK.search(line)]


def secret() -> str:
    return secrets.token_urlsafe(32)


def metrics_of(client: httpx.Client) -> set[str]:
    """The lines of ``/metrics``."""
    return set(client.get("/metrics", headers=METRICS_HEADERS).text.splitlines())
