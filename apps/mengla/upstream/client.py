"""The HTTP client of the collection service; nothing else opens sockets to the service."""

from __future__ import annotations

import email.utils
import hashlib
import random
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from typing import Any, TypeVar
from urllib.parse import quote

import redis
import structlog
from django.conf import settings

from apps.core import tracing
from apps.core.storage.clock import unix_now
from apps.core.storage.redis import KEY_PREFIX, tolerate_redis_outage
from apps.core.unwanted import unwanted
from apps.mengla.choices import CollectionError
from apps.mengla.upstream import breaker, spacing
from apps.mengla.upstream.errors import Fault, UpstreamError
from apps.mengla.upstream.signature import SIMULATOR_HEADER
from apps.mengla.upstream.spacing import OpenTurn, Turn
from apps.mengla.upstream.wire_json import NotJSON, loads
from apps.mengla.upstream.wire_values import error_text, execution_id_in
from apps.mengla.words import (
    NO_SUCH_TASK,
    RATE_LIMITED,
    REJECTED,
    REPLY_UNREADABLE,
    REPLY_WITHOUT_ID,
    REPLY_WITHOUT_TASKS,
    SERVICE_FAILED,
    SIMULATOR_REFUSED,
    UNREACHABLE,
)

# Only httpx's own command line needs click, which takes longer to load than httpx itself.
with unwanted("click"):
    import httpx

logger = structlog.get_logger(__name__)
T = TypeVar("T")

_TASK_ID_TTL_SECONDS = 24 * 3600
_PAGE_SIZE = 100
_MAX_PAGES = 1000
_MAX_RETRY_AFTER_SECONDS = 3600.0
_FIRST_SLOWDOWN_SECONDS = 1.0
_MAX_SLOWDOWN_SECONDS = 30.0
_UNKNOWN_MARK = "!"  # before an id in the cache: the service does not know it any more
_KEY_REFUSED = frozenset({401, 402, 403, 407})
_NOT_ABOUT_PARAMETERS = frozenset({405, 408, 421, 425, 426})
_TURN_POLL_SECONDS = 0.2


@cache
def _trusted_certificates() -> ssl.SSLContext:
    """Return what verifies servers, read once in a process: that takes longer than a request."""
    return httpx.create_ssl_context(trust_env=False)


class CollectionServiceClient:
    """Sends the requests. Each one claims a turn, and the breaker counts its outcome.

    A caller may claim the turn for the first request itself, and do something else before the request. For
    further requests of the same call the client waits. ``look_up_managed_task_id`` and ``execute`` raise
    :class:`UpstreamError`.

    If the settings allow several requests at the same time, several threads may call ``execute``. Then one
    turn, claimed before, is enough for all of them.
    """

    def __init__(self) -> None:
        self._http = httpx.Client(
            base_url=settings.COLLECT_SERVICE_URL or "",
            headers={
                "Authorization": f"Bearer {settings.COLLECT_SERVICE_API_KEY}",
                "Accept": "application/json",
                "User-Agent": "mengla-collector",
            },
            timeout=settings.COLLECT_REQUEST_TIMEOUT_SECONDS,
            trust_env=False,
            verify=_trusted_certificates(),
        )
        self.allows_several = spacing.allows_several()
        self._turn: Turn | OpenTurn = OpenTurn() if self.allows_several else Turn()
        self._has_turn = False
        self._slowdown_lock = threading.Lock()

    def __enter__(self) -> CollectionServiceClient:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._http.close()
        with suppress(redis.RedisError):  # then the turn expires by itself
            self.release_turn()

    def claim_turn(self) -> float:
        """Claim the turn for the next request; returns 0 or the seconds to wait before the next try."""
        wait_seconds = 0.0 if self._has_turn and not self.allows_several else self._turn.claim()
        self._has_turn = wait_seconds == 0
        return wait_seconds

    def release_turn(self) -> None:
        """Release the turn if no request has used it."""
        if self._has_turn:
            self._has_turn = False
            self._turn.release()

    def renew_turn(self) -> None:
        """Keep the turn while a request is in progress; call it every few seconds, from any thread."""
        self._turn.renew()

    def known_managed_task_id(self) -> str | None:
        """Return the task id from the cache, without a request."""
        cached = self._cached_task_id()
        return None if cached is None or cached.startswith(_UNKNOWN_MARK) else cached

    def look_up_managed_task_id(self) -> str:
        """Return the id of the managed task with the configured name, and cache it.

        The service may allow fewer tasks on a page than we ask for, so the list ends with the first page that
        lists nothing new. The breaker opens when our task is not listed, or is listed with the id that the
        service has just refused.
        """
        seen: set[str] = set()
        for page in range(1, _MAX_PAGES + 1):
            parameters = {"page": page, "limit": _PAGE_SIZE}
            try:
                tasks = self._request(
                    "GET",
                    "/api/managed-tasks",
                    _tasks_in,
                    breaker.record_listed,
                    can_reject=page > 1,
                    params=parameters,
                )
            except UpstreamError as error:
                if error.error is CollectionError.REJECTED and page > 1:
                    break  # this service rejects a page after its last one
                raise
            for task in tasks:
                if task.get("name") == settings.COLLECT_TASK_NAME:
                    managed_task_id = str(task.get("id") or "")
                    if managed_task_id:
                        was_refused = self._cached_task_id() == _UNKNOWN_MARK + managed_task_id
                        self._cache_task_id(managed_task_id)
                        if was_refused:
                            raise _unknown_task()
                        return managed_task_id
            new = {str(task.get("id") or task.get("name")) for task in tasks} - seen
            seen |= new
            if not new:
                break
        raise _unknown_task()

    def execute(self, *, managed_task_id: str, parameters: Mapping[str, Any], webhook_url: str) -> str:
        """Start one execution of the task and return the execution's id.

        When the service does not know the id (any more), the dispatcher looks it up again.
        """
        body = {"parameters": dict(parameters), "webhookUrl": webhook_url}
        try:
            return self._request(
                "POST",
                _execute_path(managed_task_id),
                _execution_id_in,
                breaker.record_success,
                json=body,
                headers=tracing.outgoing_headers(),
            )
        except UpstreamError as error:
            if error.fault is Fault.UNKNOWN_ID:
                logger.warning("task_id_forgotten_by_service", task_id=managed_task_id)
                self._cache_task_id(_UNKNOWN_MARK + managed_task_id)
            raise

    def _request(
        self,
        method: str,
        path: str,
        read: Callable[[Any], T],
        record_success: Callable[[], None],
        can_reject: bool = True,
        **kwargs: Any,
    ) -> T:
        """Send one request in its turn; the breaker counts how the service answered it.

        ``can_reject``: a 4xx may be about the parameters. If not, it is an outage.
        """
        if not (self.allows_several and method == "POST"):
            while (wait_seconds := self.claim_turn()) > 0:
                time.sleep(min(wait_seconds, _TURN_POLL_SECONDS))
        self._has_turn = False
        pause_seconds = 0.0
        try:
            answer = read(_json_of(self._send(method, path, can_reject=can_reject, **kwargs)))
        except UpstreamError as error:
            pause_seconds = error.retry_after_seconds or 0.0
            if error.fault is Fault.SLOWDOWN:
                pause_seconds = pause_seconds or self._slow_down()
            elif error.fault is Fault.OUTAGE:
                breaker.record_failure(error.error)
            elif error.fault is Fault.REFUSAL:
                breaker.record_refusal(error.error)
            elif error.fault is Fault.COLLECTION:
                record_success()
            raise
        finally:
            self._turn.end(pause_seconds=pause_seconds)
        record_success()
        return answer

    def _send(self, method: str, path: str, *, can_reject: bool, **kwargs: Any) -> httpx.Response:
        try:
            response = self._http.request(method, path, **kwargs)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _connection_error(error) from error
        _raise_for_status(response, is_execution=method == "POST", can_reject=can_reject)
        return response

    def _slow_down(self) -> float:
        """Count a 429 that names no time, and return the pause after it."""
        if not self.allows_several:
            return _slowdown_seconds(breaker.record_slowdown())
        with self._slowdown_lock:
            # Several requests that were sent together may be answered so: together they count once.
            if spacing.remaining_pause_seconds() == 0:
                self._turn.end(pause_seconds=_slowdown_seconds(breaker.record_slowdown()))
        return 0.0

    def _cached_task_id(self) -> str | None:
        cached = tolerate_redis_outage(lambda client: client.get(_task_id_key()), None)
        return cached.decode() if isinstance(cached, bytes) else None

    def _cache_task_id(self, value: str) -> None:
        tolerate_redis_outage(lambda client: client.set(_task_id_key(), value, ex=_TASK_ID_TTL_SECONDS), None)


def _task_id_key() -> str:
    name = f"{settings.COLLECT_SERVICE_URL}|{settings.COLLECT_TASK_NAME}"
    return f"{KEY_PREFIX}task_id:{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def _execute_path(managed_task_id: str) -> str:
    return f"/api/managed-tasks/{quote(managed_task_id, safe='')}/execute"


def _unknown_task() -> UpstreamError:
    """Open the breaker, because no collection can be sent without the task, and return the error."""
    breaker.record_refusal(CollectionError.UNKNOWN_TASK)
    message = NO_SUCH_TASK(name=settings.COLLECT_TASK_NAME)
    return UpstreamError(CollectionError.UNKNOWN_TASK, message, fault=Fault.REFUSAL)


def _slowdown_seconds(times_in_a_row: int) -> float:
    """Return the pause after a 429 that names none; it doubles each time, with some jitter."""
    seconds = min(_MAX_SLOWDOWN_SECONDS, _FIRST_SLOWDOWN_SECONDS * 2 ** min(times_in_a_row - 1, 10))
    return float(seconds * random.uniform(0.75, 1.25))  # noqa: S311 - no secret


def _raise_for_status(response: httpx.Response, *, is_execution: bool, can_reject: bool) -> None:
    status = response.status_code
    if SIMULATOR_HEADER in response.headers and settings.ENVIRONMENT.is_production:
        raise UpstreamError(CollectionError.REJECTED, SIMULATOR_REFUSED(), fault=Fault.REFUSAL)
    if status < httpx.codes.MULTIPLE_CHOICES:
        return
    if status == httpx.codes.TOO_MANY_REQUESTS:
        raise UpstreamError(
            CollectionError.RATE_LIMITED,
            RATE_LIMITED(),
            fault=Fault.SLOWDOWN,
            retry_after_seconds=_retry_after_seconds(response),
        )
    if status >= httpx.codes.INTERNAL_SERVER_ERROR:
        raise UpstreamError(
            CollectionError.SERVICE_ERROR,
            SERVICE_FAILED(status=status, reason=_reason_in(response)),
            fault=Fault.OUTAGE,
            retry_after_seconds=_retry_after_seconds(response),
        )
    error, fault = CollectionError.REJECTED, Fault.COLLECTION
    if status in _KEY_REFUSED:
        error, fault = CollectionError.UNAUTHORIZED, Fault.REFUSAL
    elif is_execution and status == httpx.codes.NOT_FOUND:
        error, fault = CollectionError.UNKNOWN_TASK, Fault.UNKNOWN_ID
    elif not can_reject or status < httpx.codes.BAD_REQUEST or status in _NOT_ABOUT_PARAMETERS:
        error, fault = CollectionError.SERVICE_ERROR, Fault.OUTAGE
    raise UpstreamError(error, REJECTED(status=status, reason=_reason_in(response)), fault=fault)


def _reason_in(response: httpx.Response) -> str:
    try:
        body = loads(response.content)
    except NotJSON:
        return ""
    reason = error_text([body]) if isinstance(body, dict) else None
    return f" ({reason})" if reason else ""


def _connection_error(error: Exception) -> UpstreamError:
    is_timeout = isinstance(error, httpx.TimeoutException)
    return UpstreamError(
        CollectionError.TIMEOUT if is_timeout else CollectionError.CONNECT_ERROR,
        UNREACHABLE(error=type(error).__name__),
        fault=Fault.OUTAGE,
    )


def _json_of(response: httpx.Response) -> Any:
    try:
        return loads(response.content)
    except NotJSON as error:
        raise _unusable_response(REPLY_UNREADABLE()) from error


def _tasks_in(body: Any) -> list[dict[str, Any]]:
    data = body.get("data") if isinstance(body, dict) else None
    tasks = data.get("tasks") if isinstance(data, dict) else None
    if not isinstance(tasks, list):
        raise _unusable_response(REPLY_WITHOUT_TASKS())
    return [task for task in tasks if isinstance(task, dict)]


def _execution_id_in(body: Any) -> str:
    data = body.get("data") if isinstance(body, dict) else None
    for level in (data, body):
        if isinstance(level, dict):
            execution_id = execution_id_in(level)
            if execution_id is not None:
                return execution_id
    raise _unusable_response(REPLY_WITHOUT_ID())


def _unusable_response(message: str) -> UpstreamError:
    """Return the error for a 2xx response that is no answer of the service, such as a proxy's page."""
    return UpstreamError(CollectionError.SERVICE_ERROR, message, fault=Fault.OUTAGE)


def _retry_after_seconds(response: httpx.Response) -> float | None:
    """Return the Retry-After header in seconds, an hour at most (RFC 9110, 10.2.3: seconds or a date)."""
    value = response.headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdecimal():
        return min(float(value), _MAX_RETRY_AFTER_SECONDS)
    try:
        wait = email.utils.parsedate_to_datetime(value).timestamp() - unix_now()
    except (ValueError, TypeError):
        return None
    return min(max(wait, 0.0), _MAX_RETRY_AFTER_SECONDS)
