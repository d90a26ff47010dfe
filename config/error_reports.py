"""Reports of unexpected errors to Sentry; nothing is imported unless SENTRY_DSN is set.

What is reported: every line of level ERROR, with its exception if it has one, and what ends a command.
Expected errors are not: refused requests, and outages of MongoDB, Redis and the collection service. Every
text of a report loses its secrets as a log line does, and the values of the secret variables besides.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec
from multiprocessing.util import Finalize
from typing import Any
from urllib.parse import unquote, urlsplit

from config.logs import LineHandler, scrub_values
from config.variables import Environment, variables

_TAGS = ("request_id", "collection_id", "task", "task_id")
_FLUSH_SECONDS = 2.0
_MIN_SECRET_LENGTH = 8
_BETWEEN_ADDRESSES = re.compile(r"[\s,]+(?=[A-Za-z][A-Za-z0-9+.-]*://)")
# A failed task of django-q is reported where its exception is known: `task_failed`. The others send traces
# and reports.
_NOT_REPORTED = ("django-q", "opentelemetry", "sentry_sdk", "urllib3")
_flushing: set[int] = set()  # the processes that send what is left at their end


def start(environment: Environment, *, release: str) -> None:
    """Report errors from now on, if SENTRY_DSN is set; a check tells when the package is missing."""
    if not environment.SENTRY_DSN or find_spec("sentry_sdk") is None:
        return
    import sentry_sdk
    from sentry_sdk.integrations.atexit import AtexitIntegration
    from sentry_sdk.integrations.dedupe import DedupeIntegration
    from sentry_sdk.integrations.excepthook import ExcepthookIntegration
    from sentry_sdk.integrations.threading import ThreadingIntegration

    sentry_sdk.init(
        dsn=environment.SENTRY_DSN,
        environment=environment.ENV,
        release=release,
        before_send=partial(_cleaned, secrets=sorted(_secrets_of(environment), key=len, reverse=True)),
        # Only these: the integrations of Django and others would add requests, queries and variables.
        default_integrations=False,
        auto_enabling_integrations=False,
        integrations=[
            AtexitIntegration(callback=lambda pending, timeout: None),
            DedupeIntegration(),
            ExcepthookIntegration(),
            ThreadingIntegration(),
        ],
        include_local_variables=False,
        max_breadcrumbs=0,  # nothing of users is sent either: data_collection would have to ask for it
        send_client_reports=False,
        auto_session_tracking=False,
        shutdown_timeout=_FLUSH_SECONDS,
    )
    LineHandler.reporters = (_report,)


def _report(record: logging.LogRecord) -> None:
    """Report a line of level ERROR."""
    import sentry_sdk

    if record.name.startswith(_NOT_REPORTED):
        return
    fields = dict(record.msg) if isinstance(record.msg, dict) else {"event": record.getMessage()}
    error = _error_of(fields.pop("exc_info", None) or record.exc_info)
    if error is None and record.name == "django.request":
        return  # the response to an expected error, such as a 503
    with sentry_sdk.new_scope() as scope:
        scope.set_tag("logger", record.name)
        scope.set_tag("event", str(fields.get("event", "")))
        for name in _TAGS:
            if name in fields:
                scope.set_tag(name, str(fields[name]))
        scope.set_context("line", {name: str(value) for name, value in fields.items()})
        if error is not None:
            sentry_sdk.capture_exception(error)
        else:
            sentry_sdk.capture_message(str(fields["event"]), level="error")
    if os.getpid() not in _flushing:
        _flushing.add(os.getpid())
        # Works in the forks of multiprocessing, too, which do not call the functions of atexit.
        Finalize(None, sentry_sdk.flush, args=(_FLUSH_SECONDS,), exitpriority=0)


def _error_of(exc_info: Any) -> BaseException | None:
    if isinstance(exc_info, BaseException):
        return exc_info
    if isinstance(exc_info, tuple):
        return exc_info[1]  # type: ignore[no-any-return]
    return sys.exc_info()[1] if exc_info else None


def _cleaned(event: Any, hint: dict[str, Any], *, secrets: list[str]) -> Any:
    """Return the report without secrets; None for an expected error."""
    error = (hint.get("exc_info") or (None, None, None))[1]
    if error is not None and _is_expected(error):
        return None
    # The values first: without its password, an address is no longer the one of the variable.
    return scrub_values(_without(event, secrets))


def _is_expected(error: BaseException) -> bool:
    # Imported here, because these need the settings.
    from django.core.management.base import CommandError

    from apps.core.errors import DomainError
    from apps.core.storage.outages import is_mongo_outage, is_redis_outage

    return isinstance(error, DomainError | CommandError) or is_mongo_outage(error) or is_redis_outage(error)


def _without(value: Any, secrets: list[str]) -> Any:
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, "***")
        return value
    if isinstance(value, dict):
        return {name: _without(inner, secrets) for name, inner in value.items()}
    return [_without(inner, secrets) for inner in value] if isinstance(value, list) else value


def _secrets_of(environment: Environment) -> Iterator[str]:
    """Yield the values of the secret variables, and the passwords in those that are addresses."""
    for name, (variable, _default) in variables().items():
        value = getattr(environment, name)
        for text in value if isinstance(value, tuple) else [value]:
            if not variable.is_secret or not isinstance(text, str):
                continue
            addresses = _BETWEEN_ADDRESSES.split(text)
            passwords = [password for one in addresses if (password := _password_in(one))]
            found = [text, *addresses, *passwords, *map(unquote, passwords)]
            yield from (one for one in found if len(one) >= _MIN_SECRET_LENGTH)


def _password_in(text: str) -> str | None:
    try:
        return urlsplit(text).password if "://" in text else None
    except ValueError:  # no address, such as one with a bracket
        return None
