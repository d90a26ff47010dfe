"""The single checks of the diagnosis: each returns what it found, or raises :class:`CheckFailed`."""

from __future__ import annotations

import platform
import time
from datetime import timedelta
from urllib.parse import urlsplit

import django
import httpx
from django.conf import settings
from django.core import checks as system_checks
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from apps.auth.oidc import provider
from apps.auth.oidc.refusals import LoginRefusedError
from apps.auth.oidc.rights import missing_groups
from apps.core.liveness.clocks import MAX_SKEW_SECONDS, clock_problems
from apps.core.liveness.processes import last_replacement, list_clusters, silence_remark
from apps.core.management.database_state import database_problem, missing_migrations
from apps.core.printable import clauses_text, list_text, sentences_text
from apps.core.scheduling.schedules import declared_schedules, schedule_id
from apps.core.storage.flags import SCHEDULER_PAUSED, is_flag_set
from apps.core.storage.mongo import collection_of, named_collection, utc_now
from apps.core.storage.redis import get_redis, server_product
from apps.core.time_texts import duration_text, seconds_between
from apps.mengla.choices import CollectionError, CollectionStatus, Priority
from apps.mengla.dispatch.breaker_control import SETTING_OF
from apps.mengla.dispatch.waiting import outage, outside_window, pause
from apps.mengla.models import Collection
from apps.mengla.monitoring.webhook_counts import read_refused_webhooks
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
    """A check found a problem; ``advice`` says what to do."""

    def __init__(self, detail: str, advice: str) -> None:
        super().__init__(detail)
        self.detail = detail
        self.advice = advice


def check_environment() -> str:
    """Run Django's system checks; the settings were checked when the process started."""
    problems = [str(one.msg) for one in system_checks.run_checks() if one.is_serious()]
    if problems:
        raise CheckFailed(sentences_text(problems), _("Run `manage.py check` for details."))
    return f"ENV={settings.ENV}, Python {platform.python_version()}, Django {django.get_version()}"


def check_mongodb() -> str:
    """Check the version of MongoDB, and that it is a replica set."""
    database = collection_of(Collection).database
    version = database.command("buildInfo")["version"]
    hello = database.command("hello")
    if _parts(version) < _OLDEST_MONGO:
        raise CheckFailed(f"MongoDB {version}", _("Version 6.0 or newer is required."))
    if "setName" not in hello and hello.get("msg") != "isdbgrid":
        raise CheckFailed(
            _("MongoDB %(version)s, no replica set.") % {"version": version},
            _("Start it with --replSet and run rs.initiate() once; one node is enough."),
        )
    return f"MongoDB {version}, replica set {hello.get('setName', '(sharded)')}, database {settings.MONGO_DB}"


def check_migrations() -> str:
    """Check that the database is this product's, and that every MongoDB collection and index exists."""
    if problem := database_problem():
        raise CheckFailed(_("not usable"), problem)
    if missing := missing_migrations():
        detail = _("%(count)d migrations are not applied.") % {"count": len(missing)}
        raise CheckFailed(detail, _("Run `manage.py migrate`."))
    return _("all applied")


def check_redis() -> str:
    """Check the version of Redis, or of the Valkey in its place."""
    name, version = server_product(get_redis().info("server"))
    if _parts(version) < _OLDEST_REDIS:
        raise CheckFailed(f"{name} {version}", _("Version 6.2 or newer is required."))
    return f"{name} {version}"


def check_clocks() -> str:
    """Check that the clocks of this host, of the workers' hosts and of both servers agree."""
    if problems := clock_problems():
        raise CheckFailed(sentences_text(problems), _("Synchronize the clocks of all hosts (NTP)."))
    return _("less than %(seconds).0f s apart") % {"seconds": MAX_SKEW_SECONDS}


def check_collection_service() -> str:
    """Check that the collection service has our task: one request in its turn; nothing is executed."""
    if not settings.COLLECT_SERVICE_URL:
        raise CheckFailed(
            _("No collection service is configured: nothing is collected."), _("Set COLLECT_SERVICE_URL.")
        )
    # No process gets a turn before the pause ends; waiting for one would look like a service that hangs.
    if (asked := pause()) is not None:
        return _("not checked: %(reason)s") % {"reason": asked.message}
    deadline = time.monotonic() + settings.DIAGNOSIS_REQUEST_SECONDS
    with _ShortTimeoutClient() as service:
        while service.claim_turn() > 0:
            if time.monotonic() > deadline:
                return _("not checked: other requests to the service are in progress")
            time.sleep(_TURN_WAIT_SECONDS)
        try:
            service.look_up_managed_task_id()
        except UpstreamError as error:
            raise CheckFailed(
                error.message,
                _("Check COLLECT_SERVICE_URL, COLLECT_SERVICE_API_KEY and COLLECT_TASK_NAME."),
            ) from error
    return _("%(place)s has the task %(task)s") % {
        "place": _place(settings.COLLECT_SERVICE_URL),
        "task": settings.COLLECT_TASK_NAME,
    }


def check_breaker() -> str:
    """Check that the breaker does not hold back the requests to the collection service."""
    get_redis().ping()  # without Redis the snapshot would say: closed
    snapshot = breaker.snapshot()
    if snapshot.state is BreakerState.OPEN:
        detail = _("open; next probe in %(seconds).0f s") % {"seconds": snapshot.next_probe_seconds}
        if (found := outage(snapshot)) is not None and snapshot.reason is not None:
            detail = _with_remark(detail, found.message)
        raise CheckFailed(detail, _breaker_advice(snapshot.reason))
    text = (
        _("half-open, %(count)d consecutive failures")
        if snapshot.state is BreakerState.HALF_OPEN
        else _("closed, %(count)d consecutive failures")
    )
    return text % {"count": snapshot.failures}


def _breaker_advice(reason: CollectionError | None) -> str:
    setting = SETTING_OF.get(reason) if reason else None
    if setting is not None:
        advice = _("Correct %(setting)s; requests resume with the next probe.") % {"setting": setting}
    elif reason is CollectionError.TIMEOUT:
        advice = _("Check the service, and that it reaches MENGLA_WEBHOOK_URL.")
    elif reason is CollectionError.EXECUTION_FAILED:
        advice = _("Check the service: it accepts executions, but all of them fail.")
    elif reason is not None:
        advice = _("Check the service and COLLECT_SERVICE_URL.")
    else:
        advice = _(
            "The collection service did not answer. Requests resume automatically when it answers again."
        )
    return advice


def check_worker() -> str:
    """Check that a worker cluster is running, and that each one runs what it pulls."""
    clusters = list_clusters()
    if not clusters:
        raise CheckFailed(
            _("No running worker was found."),
            _("Start one: `manage.py qcluster`, with the same SECRET_KEY and REDIS_URI."),
        )
    found = clauses_text(
        _("%(host)s: %(count)d processes, %(status)s")
        % {"host": one.host, "count": one.worker_count, "status": one.status}
        for one in clusters
    )
    if (remark := silence_remark()) is not None:
        raise CheckFailed(
            _with_remark(found, remark),
            _(
                "A cluster that runs nothing is replaced automatically within seconds. If it is not, restart "
                "`manage.py qcluster`."
            ),
        )
    replaced = last_replacement()
    if replaced is None:
        return found
    facts = {"found": found, "host": replaced.host, "age": duration_text(replaced.age_seconds)}
    return _("%(found)s; a cluster on %(host)s that did not work was replaced %(age)s ago") % facts


def check_tick() -> str:
    """Check that the one-minute tick runs; returns when it last ran, or when it runs first."""
    schedule = named_collection("django_q_schedule").find_one(
        {"_id": schedule_id("tick")}, {"next_run": 1, "func": 1}
    )
    if schedule is None:
        raise CheckFailed(_("The tick is not scheduled."), _("Run `manage.py sync_schedules`."))
    now = utc_now()
    late_seconds = seconds_between(schedule["next_run"], now)
    if late_seconds > _TICK_LATE_SECONDS:
        raise CheckFailed(
            _("The tick is overdue by %(seconds).0f s.") % {"seconds": late_seconds},
            _("Start a worker: `manage.py qcluster`."),
        )
    last = named_collection("django_q_task").find_one(
        {"func": schedule["func"], "success": True}, {"stopped": 1}, sort=[("stopped", -1)]
    )
    if last is None:
        return _("has not run yet; next run in %(seconds).0f s") % {
            "seconds": seconds_between(now, schedule["next_run"])
        }
    return _("last run %(seconds).0f s ago") % {"seconds": seconds_between(last["stopped"], now)}


def check_schedules() -> str:
    """Check that every schedule of the product is stored; returns whether they are paused."""
    wanted = {schedule_id(one.name): one.name for one in declared_schedules()}
    stored = named_collection("django_q_schedule").find({"_id": {"$in": list(wanted)}}, {"_id": 1})
    missing = sorted(set(wanted.values()) - {wanted[row["_id"]] for row in stored})
    if missing:
        detail = _("Missing: %(names)s.") % {"names": list_text(missing)}
        raise CheckFailed(detail, _("Run `manage.py sync_schedules`."))
    if is_flag_set(SCHEDULER_PAUSED):
        return _("%(count)d, paused") % {"count": len(wanted)}
    return ngettext("%(count)d schedule", "%(count)d schedules", len(wanted)) % {"count": len(wanted)}


def check_queue() -> str:
    """Check that no reader waits too long and no request stays overdue; returns the size of the queue."""
    collections = collection_of(Collection)
    now = utc_now()
    pending = {"status": CollectionStatus.PENDING.value}
    count = collections.count_documents(pending, limit=_COUNTED_AT_MOST)
    in_flight = collections.count_documents({"status": CollectionStatus.DISPATCHED.value})
    first = collections.find_one(
        pending, {"created_at": 1, "priority": 1}, sort=[("priority", 1), ("created_at", 1)]
    )
    age_seconds = seconds_between(first["created_at"], now) if first else 0.0
    facts = _("%(count)d queued, %(in_flight)d in flight") % {"count": count, "in_flight": in_flight}
    if first:
        age = {"facts": facts, "age": duration_text(age_seconds)}
        facts = _("%(facts)s; the next one has waited for %(age)s") % age
    if (reason := outside_window()) is not None:
        facts = _with_remark(facts, reason.message)
    limit_seconds = settings.MENGLA_TIMEOUT_SECONDS * 2
    if first and first["priority"] == Priority.READER and age_seconds > limit_seconds:
        raise CheckFailed(
            facts,
            _("A reader's collection waits too long: check the worker, the breaker and the service."),
        )
    overdue = {
        "status": CollectionStatus.DISPATCHED.value,
        "lease_until": {"$lt": now - timedelta(seconds=_OVERDUE_SECONDS)},
    }
    if collections.find_one(overdue, {"_id": 1}) is not None:
        raise CheckFailed(facts, _("Overdue requests are not being handled: check that a worker is running."))
    return facts


def check_webhook() -> str:
    """Check that our webhook responds at the address that the collection service gets."""
    url = settings.MENGLA_WEBHOOK_URL
    advice = _("Start the web server, and set APP_BASEURL or MENGLA_WEBHOOK_URL to its address.")
    try:
        response = httpx.get(url, timeout=settings.DIAGNOSIS_REQUEST_SECONDS, trust_env=False)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        detail = _("%(place)s cannot be reached (%(error)s).")
        raise CheckFailed(detail % {"place": _place(url), "error": type(error).__name__}, advice) from error
    if response.status_code != httpx.codes.OK or not _is_ours(response):
        detail = _("%(place)s returned HTTP %(status)d, which is not this product's response.")
        raise CheckFailed(detail % {"place": _place(url), "status": response.status_code}, advice)
    return _("%(place)s responds (from this host)") % {"place": _place(url)}


def check_signature() -> str:
    """Check that the webhooks of our executions are signed with our secret."""
    refused = read_refused_webhooks()
    if refused.is_suspicious:
        raise CheckFailed(
            _("%(count)d webhooks for known executions had a wrong signature.") % {"count": refused.count},
            _("Set the same WEBHOOK_SECRET here and in the collection service, then restart the web server."),
        )
    return _("no wrong signatures") if settings.WEBHOOK_SECRET else _("no WEBHOOK_SECRET: tokens are checked")


def check_logins() -> str:
    """Check that the OpenID provider describes itself, and that the groups that it gives exist here."""
    if not settings.OIDC_ISSUER_URL:
        return _("passwords")
    try:
        provider.check()
    except LoginRefusedError as error:
        raise CheckFailed(
            f"{error.text} ({error.detail})", _("Check OIDC_ISSUER_URL, and the provider's own log.")
        ) from error
    if missing := missing_groups():
        raise CheckFailed(
            _("OIDC_GROUP_ROLES gives groups that do not exist: %(names)s.") % {"names": list_text(missing)},
            _("Create them in the admin, or correct OIDC_GROUP_ROLES."),
        )
    return settings.OIDC_ISSUER_URL


class _ShortTimeoutClient(CollectionServiceClient):
    """A client with a timeout shorter than the check's, so that it ends its turn properly."""

    def __init__(self) -> None:
        super().__init__()
        self._http.timeout = httpx.Timeout(settings.DIAGNOSIS_REQUEST_SECONDS)


def _is_ours(response: httpx.Response) -> bool:
    try:
        body = response.json()
    except ValueError:
        return False
    return isinstance(body, dict) and body.get("success") is True and body.get("data") == {"status": "ready"}


def _with_remark(facts: str, remark: str) -> str:
    return _("%(facts)s. %(remark)s") % {"facts": facts, "remark": remark}


def _place(url: str) -> str:
    """Return the address without credentials and parameters."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{host}{port}{parts.path}"


def _parts(version: str) -> tuple[int, ...]:
    numbers = version.split("-", maxsplit=1)[0].split(".")
    return tuple(int(number) for number in numbers if number.isdecimal())
