"""The variables of the former program that have no meaning here, each with the reason and what to do."""

from __future__ import annotations

import re

# A name that ends with "*" stands for all names with this beginning; exact names come first.
_FORMER = {
    "BATCH_SIZE": (
        "is not needed here, because every collection is queued and sent by itself, as soon as the service "
        "is free"
    ),
    "COLLECT_CONCURRENCY": (
        "is not needed here, because scheduled collections wait in one queue; how many requests the service "
        "works on at once is MAX_INFLIGHT_REQUESTS, with the same meaning as before"
    ),
    "COLLECT_RETRY_TIMES": (
        "is not read here, because it does not say whether the first attempt counts; set "
        "COLLECT_MAX_ATTEMPTS, the number of all attempts"
    ),
    "CB_HALF_OPEN_CALLS": (
        "is not needed here, because a half-open breaker lets one request at a time through; "
        "CB_SUCCESS_THRESHOLD is how many must succeed before it closes"
    ),
    "ENABLE_PANEL_ADMIN": (
        "is not needed here, because the permissions of each user decide who may change panels and start "
        "tasks; see the page Users in the admin"
    ),
    "MAX_CONCURRENT_TASKS": (
        "is not needed here, because tasks wait in the queue of the worker; its processes are QUEUE_WORKERS, "
        "and the requests that the service works on at once are MAX_INFLIGHT_REQUESTS"
    ),
    "RETRY_MAX_ATTEMPTS": (
        "is not read here, because a refused request is no attempt; set COLLECT_MAX_ATTEMPTS for the "
        "attempts of a collection, and COLLECT_GIVE_UP_HOURS for how long the service may refuse it"
    ),
    "RETRY_BASE_DELAY": "is not read here; the delay before a retry is COLLECT_RETRY_DELAY_SECONDS",
    "RETRY_MAX_DELAY": (
        "is not needed here, because refusals double COLLECT_RETRY_DELAY_SECONDS up to twice CB_TIMEOUT"
    ),
    "TASK_TIMEOUT": (
        "is not read here; how long to wait for an answer of the service is MENGLA_TIMEOUT_SECONDS, with the "
        "same unit, and a task of the worker has a fixed limit"
    ),
    "CB_*": "is not read here; CB_FAILURE_THRESHOLD, CB_SUCCESS_THRESHOLD and CB_TIMEOUT set the breaker",
    "RETRY_*": "is not read here; COLLECT_MAX_ATTEMPTS and COLLECT_RETRY_DELAY_SECONDS set the retries",
}
_FAMILY = re.compile(r"(CB|RETRY)_[A-Z_]{1,40}")


def reason_of(name: str) -> str | None:
    """Return what becomes of a variable of the former program, as the end of a sentence; None for others."""
    family = _FAMILY.fullmatch(name)
    return _FORMER.get(name) or (_FORMER[f"{family[1]}_*"] if family else None)
