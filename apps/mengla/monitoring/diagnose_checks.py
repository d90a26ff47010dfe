"""The single checks of the diagnosis: each returns what it found, or raises :class:`CheckFailed`."""

from __future__ import annotations

import platform
import time
from datetime import timedelta
from typing import Any, cast
from urllib.parse import urlsplit

import django
import httpx
from django.conf import settings
from django.core import checks as system_checks
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.core.liveness.processes import list_clusters
from apps.core.scheduling.schedules import declared_schedules, schedule_id
from apps.core.storage.flags import SCHEDULER_PAUSED, is_flag_set
from apps.core.storage.mongo import collection_of, named_collection, utc_now
from apps.core.storage.redis import get_redis
from apps.core.time_texts import duration_text
from apps.mengla.choices import CollectionStatus, Priority
from apps.mengla.models import Collection
from apps.mengla.upstream import breaker
from apps.mengla.upstream.breaker import BreakerState
from apps.mengla.upstream.client import CollectionServiceClient
from apps.mengla.upstream.errors import UpstreamError

MONGO_ADVICE = gettext_lazy(
    "Start MongoDB, or correct MONGO_URI; `mongosh` with the same address shows more."
)
REDIS_ADVICE = gettext_lazy(
    "Start Redis, or correct REDIS_URI; `redis-cli -u` with the same address shows more."
)
_OLDEST_MONGO = (6, 0)
_OLDEST_REDIS = (6, 2)
_TURN_WAIT_SECONDS = 0.1
_TICK_LATE_SECONDS = 180
_OVERDUE_SECONDS = 180
_COUNTED_AT_MOST = 100_000


class CheckFailed(Exception):
    """Something is not as it should be; ``advice`` says what to do."""

    def __init__(self, detail: str, advice: str) -> None:
        super().__init__(detail)
        self.detail = detail
        self.advice = advice


def check_environment() -> str:
    """The settings, which were checked when the process started, and Django's system checks."""
    problems = [str(one.msg) for one in system_checks.run_checks() if one.is_serious()]
    if problems:
        raise CheckFailed(" ".join(problems), _("`manage.py check` tells more."))
    return f"ENV={settings.ENV}, Python {platform.python_version()}, Django {django.get_version()}"


def check_mongodb() -> str:
    """The version of MongoDB, and whether it is a replica set."""
    database = collection_of(Collection).database
    version = database.command("buildInfo")["version"]
    hello = database.command("hello")
    if _parts(version) < _OLDEST_MONGO:
        raise CheckFailed(f"MongoDB {version}", _("Version 6.0 or newer is needed."))
    if "setName" not in hello and hello.get("msg") != "isdbgrid":
        raise CheckFailed(
            _("MongoDB %(version)s, no replica set.") % {"version": version},
            _("Start it with --replSet and run rs.initiate() once; one node is enough."),
        )
    return f"MongoDB {version}, replica set {hello.get('setName', '(sharded)')}, database {settings.MONGO_DB}"


def check_migrations() -> str:
    """Whether every collection and index is there."""
    executor = MigrationExecutor(connection)
    missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if missing:
        detail = _("%(count)d migrations are not applied.") % {"count": len(missing)}
        raise CheckFailed(detail, _("Run `manage.py migrate`."))
    return _("all applied")


def check_redis() -> str:
    """The version of Redis."""
    facts = cast("dict[str, Any]", get_redis().info("server"))
    version = str(facts["redis_version"])
    if _parts(version) < _OLDEST_REDIS:
        raise CheckFailed(f"Redis {version}", _("Version 6.2 or newer is needed."))
    return f"Redis {version}"


def check_collection_service() -> str:
    """Whether the collection service knows our task: one request in its turn, and nothing is executed."""
    if not settings.COLLECT_SERVICE_URL:
        raise CheckFailed(
            _("No collection service is configured: nothing is collected."), _("Set COLLECT_SERVICE_URL.")
        )
    with _ImpatientClient() as service:
        deadline = time.monotonic() + settings.DIAGNOSIS_REQUEST_SECONDS
        while service.take_turn() > 0:
            if time.monotonic() > deadline:
                return _("not asked: other requests to it are under way")
            time.sleep(_TURN_WAIT_SECONDS)
        try:
            service.look_up_managed_task_id()
        except UpstreamError as error:
            raise CheckFailed(
                error.message,
                _("Check COLLECT_SERVICE_URL, COLLECT_SERVICE_API_KEY and COLLECT_TASK_NAME."),
            ) from error
    return _("%(place)s knows the task %(task)s") % {
        "place": _place(settings.COLLECT_SERVICE_URL),
        "task": settings.COLLECT_TASK_NAME,
    }


def check_breaker() -> str:
    """Whether requests to the collection service are being held back."""
    get_redis().ping()  # without Redis the snapshot would say: closed
    snapshot = breaker.snapshot()
    if snapshot.state is BreakerState.OPEN:
        raise CheckFailed(
            _("open after %(count)d failures in a row; next try in %(seconds).0f s")
            % {"count": snapshot.failures, "seconds": snapshot.next_probe_seconds},
            _("The collection service did not answer. It is tried again by itself once it does."),
        )
    return _("%(state)s, %(count)d failures in a row") % {
        "state": snapshot.state.value,
        "count": snapshot.failures,
    }


def check_worker() -> str:
    """Whether any worker cluster gives signs of life."""
    clusters = list_clusters()
    if not clusters:
        raise CheckFailed(
            _("No worker gives a sign of life."),
            _("Start one: `manage.py qcluster`, with the same SECRET_KEY and REDIS_URI."),
        )
    return ", ".join(
        _("%(host)s: %(count)d processes, %(status)s")
        % {"host": one.host, "count": one.worker_count, "status": one.status}
        for one in clusters
    )


def check_tick() -> str:
    """Whether the one-minute tick runs: what it last did, or when it was due."""
    schedule = named_collection("django_q_schedule").find_one(
        {"_id": schedule_id("tick")}, {"next_run": 1, "func": 1}
    )
    if schedule is None:
        raise CheckFailed(_("It is not scheduled."), _("Run `manage.py sync_schedules`."))
    now = utc_now()
    late_seconds = (now - schedule["next_run"]).total_seconds()
    if late_seconds > _TICK_LATE_SECONDS:
        raise CheckFailed(
            _("It should have run %(seconds).0f s ago.") % {"seconds": late_seconds},
            _("Start a worker: `manage.py qcluster`."),
        )
    last = named_collection("django_q_task").find_one(
        {"func": schedule["func"], "success": True}, {"stopped": 1}, sort=[("stopped", -1)]
    )
    if last is None:
        return _("has not run yet; next in %(seconds).0f s") % {"seconds": max(0.0, -late_seconds)}
    return _("last %(seconds).0f s ago") % {"seconds": (now - last["stopped"]).total_seconds()}


def check_schedules() -> str:
    """Whether every schedule of the product is stored, and obeyed."""
    wanted = {schedule_id(one.name): one.name for one in declared_schedules()}
    stored = named_collection("django_q_schedule").find({"_id": {"$in": list(wanted)}}, {"_id": 1})
    missing = sorted(set(wanted.values()) - {wanted[row["_id"]] for row in stored})
    if missing:
        detail = _("Missing: %(names)s.") % {"names": ", ".join(missing)}
        raise CheckFailed(detail, _("Run `manage.py sync_schedules`."))
    if is_flag_set(SCHEDULER_PAUSED):
        return _("%(count)d, paused") % {"count": len(wanted)}
    return str(len(wanted))


def check_queue() -> str:
    """How much waits, and whether anything waits that should not."""
    collections = collection_of(Collection)
    now = utc_now()
    pending = {"status": CollectionStatus.PENDING.value}
    count = collections.count_documents(pending, limit=_COUNTED_AT_MOST)
    in_flight = collections.count_documents({"status": CollectionStatus.DISPATCHED.value})
    first = collections.find_one(
        pending, {"created_at": 1, "priority": 1}, sort=[("priority", 1), ("created_at", 1)]
    )
    age_seconds = (now - first["created_at"]).total_seconds() if first else 0.0
    facts = _("%(count)d waiting, %(in_flight)d under way") % {"count": count, "in_flight": in_flight}
    if first:
        age = {"facts": facts, "age": duration_text(age_seconds)}
        facts = _("%(facts)s; the next one has waited for %(age)s") % age
    limit_seconds = settings.MENGLA_TIMEOUT_SECONDS * 2
    if first and first["priority"] == Priority.READER and age_seconds > limit_seconds:
        raise CheckFailed(
            facts, _("A reader waits for long: look at the worker, the breaker and the collection service.")
        )
    overdue = {
        "status": CollectionStatus.DISPATCHED.value,
        "lease_until": {"$lt": now - timedelta(seconds=_OVERDUE_SECONDS)},
    }
    if collections.find_one(overdue, {"_id": 1}) is not None:
        raise CheckFailed(facts, _("Overdue requests are not looked after: is a worker running?"))
    return facts


def check_webhook() -> str:
    """Whether our webhook answers at the address we give to the collection service."""
    url = settings.MENGLA_WEBHOOK_URL
    advice = _("Start the web server, and set APP_BASEURL or MENGLA_WEBHOOK_URL to where it is reached.")
    try:
        answer = httpx.get(url, timeout=settings.DIAGNOSIS_REQUEST_SECONDS, trust_env=False)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        detail = _("%(place)s cannot be reached (%(error)s).")
        raise CheckFailed(detail % {"place": _place(url), "error": type(error).__name__}, advice) from error
    if answer.status_code != httpx.codes.OK or not _is_ours(answer):
        detail = _("%(place)s answers HTTP %(status)d, and not as this product does.")
        raise CheckFailed(detail % {"place": _place(url), "status": answer.status_code}, advice)
    return _("%(place)s answers (from this host)") % {"place": _place(url)}


class _ImpatientClient(CollectionServiceClient):
    """Gives up before the check's time is over, so that its turn is ended in order."""

    def __init__(self) -> None:
        super().__init__()
        self._http.timeout = httpx.Timeout(settings.DIAGNOSIS_REQUEST_SECONDS)


def _is_ours(answer: httpx.Response) -> bool:
    try:
        body = answer.json()
    except ValueError:
        return False
    return isinstance(body, dict) and body.get("success") is True and body.get("data") == {"status": "ready"}


def _place(url: str) -> str:
    """Return the address without credentials and parameters."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{host}{port}{parts.path}"


def _parts(version: str) -> tuple[int, ...]:
    numbers = version.split("-", maxsplit=1)[0].split(".")
    return tuple(int(number) for number in numbers if number.isdecimal())
