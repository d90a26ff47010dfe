"""Checks everything the product depends on, all at once, and says what to do about each failure.

Each check has three seconds. A server that hangs fails its check and does not block the diagnosis. Nothing is
changed, nothing is collected, and no message holds a secret.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import structlog
from django.conf import settings
from django.db.utils import DatabaseError
from django.utils.translation import gettext as _
from pymongo.errors import PyMongoError
from redis import RedisError

from apps.core.liveness.bounded_reads import call_all
from apps.core.storage.outages import is_mongo_outage, is_redis_silent
from apps.mengla.monitoring import diagnose_checks as checks
from apps.mengla.monitoring.diagnose_checks import CheckFailed

logger = structlog.get_logger(__name__)

CHECKS: Mapping[str, Callable[[], str]] = {
    "environment": checks.check_environment,
    "mongodb": checks.check_mongodb,
    "migrations": checks.check_migrations,
    "redis": checks.check_redis,
    "clocks": checks.check_clocks,
    "collection_service": checks.check_collection_service,
    "breaker": checks.check_breaker,
    "worker": checks.check_worker,
    "tick": checks.check_tick,
    "schedules": checks.check_schedules,
    "queue": checks.check_queue,
    "webhook": checks.check_webhook,
    "signature": checks.check_signature,
    "logins": checks.check_logins,
}


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one check found; ``advice`` says what to do, and is empty when all is well."""

    name: str
    is_ok: bool
    latency_ms: float
    detail: str
    advice: str = ""


def diagnose() -> list[CheckResult]:
    """Run all checks in parallel; takes little longer than ``DIAGNOSIS_LIMIT_SECONDS``."""
    limit_seconds = settings.DIAGNOSIS_LIMIT_SECONDS
    results = call_all(
        {name: partial(_run, name, check) for name, check in CHECKS.items()},
        deadline_seconds=limit_seconds,
        late=partial(_overdue, limit_seconds=limit_seconds),
    )
    return list(results.values())


def _run(name: str, check: Callable[[], str]) -> CheckResult:
    started = time.monotonic()
    try:
        is_ok, detail, advice = True, check(), ""
    except CheckFailed as failure:
        is_ok, detail, advice = False, failure.detail, failure.advice
    except Exception as error:  # noqa: BLE001 - the diagnosis reports every error
        is_ok, detail, advice = False, *_explain(error)
    latency_ms = round((time.monotonic() - started) * 1000, 1)
    return CheckResult(name, is_ok, latency_ms, detail, advice)


def _explain(error: Exception) -> tuple[str, str]:
    name = type(error).__name__
    if is_mongo_outage(error):
        return _("MongoDB does not respond (%(error)s).") % {"error": name}, str(checks.MONGO_ADVICE)
    if is_redis_silent(error):
        return _("Redis does not respond (%(error)s).") % {"error": name}, str(checks.REDIS_ADVICE)
    # It responds and refuses: a password or a permission is missing, or another program has this address.
    if isinstance(error, PyMongoError | DatabaseError):
        return _("MongoDB refused the request (%(error)s).") % {"error": name}, str(checks.MONGO_ADVICE)
    if isinstance(error, RedisError):
        return _("Redis refused the request (%(error)s).") % {"error": name}, str(checks.REDIS_ADVICE)
    logger.warning("diagnosis_failed", error=name, exc_info=error)
    return _("The check failed (%(error)s).") % {"error": name}, _("See the log above.")


def _overdue(name: str, limit_seconds: float) -> CheckResult:
    detail = _("No response within %(seconds)g seconds.") % {"seconds": limit_seconds}
    return CheckResult(name, False, limit_seconds * 1000, detail, _("Check its log and its host."))
