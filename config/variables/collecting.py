"""Declares the environment variables of collecting, for :class:`config.variables.Environment`."""

from __future__ import annotations

from dataclasses import dataclass

from config import parsers
from config.variables.declaration import variable


@dataclass(frozen=True)
class CollectingVariables:
    """How fast, how often and how long the collection service is asked."""

    COLLECT_INTERVAL_SECONDS: float = variable(
        parsers.number(minimum=0, maximum=3600),
        default=2.0,
        help="Minimum time between two requests to the collection service, across all processes, in seconds; "
        "with 0, several are sent at the same time.",
    )
    COLLECT_MAX_ATTEMPTS: int = variable(
        parsers.integer(minimum=1, maximum=20),
        default=2,
        help="How many times a collection is attempted before it is marked failed.",
    )
    COLLECT_RETRY_DELAY_SECONDS: float = variable(
        parsers.number(minimum=0, maximum=86_400),
        default=5.0,
        help="Delay before a failed or refused collection is retried, in seconds; refusals double it.",
    )
    COLLECT_GIVE_UP_HOURS: float = variable(
        parsers.number(minimum=0.01, maximum=8760),
        default=24.0,
        help="How long the service may refuse a collection again and again before it fails, in hours.",
    )
    COLLECT_WINDOW_START: str | None = variable(
        parsers.time_of_day,
        default=None,
        example="00:30",
        help="Sync tasks collect from this time of the day on, in Asia/Shanghai; readers' requests always. "
        "Unset with COLLECT_WINDOW_END: at any time.",
    )
    COLLECT_WINDOW_END: str | None = variable(
        parsers.time_of_day,
        default=None,
        example="05:00",
        help="Sync tasks collect until this time of the day; if it is before COLLECT_WINDOW_START: of the "
        "next one.",
    )
    MAX_INFLIGHT_REQUESTS: int = variable(
        parsers.integer(minimum=1, maximum=100),
        default=1,
        help="How many collections the service may work on at the same time.",
    )
    MAX_WAITING_PER_CALLER: int = variable(
        parsers.integer(minimum=1, maximum=100_000),
        default=500,
        help="How many collections that one user or token has requested by reading may wait in the queue.",
    )
    MENGLA_TIMEOUT_SECONDS: int = variable(
        parsers.integer(minimum=1, maximum=86_400),
        default=300,
        help="How long to wait for an answer before a collection is retried or marked failed, in seconds.",
    )
    COLLECT_REQUEST_TIMEOUT_SECONDS: float = variable(
        parsers.number(minimum=0.1, maximum=300),
        default=15.0,
        help="Timeout of one HTTP request to the collection service, in seconds.",
    )
    CB_FAILURE_THRESHOLD: int = variable(
        parsers.integer(minimum=1, maximum=1000),
        default=5,
        help="Consecutive failures of the collection service that open the breaker.",
    )
    CB_SUCCESS_THRESHOLD: int = variable(
        parsers.integer(minimum=1, maximum=1000),
        default=3,
        help="Consecutive successes that close a half-open breaker.",
    )
    CB_TIMEOUT: float = variable(
        parsers.number(minimum=0.1, maximum=86_400),
        default=60.0,
        help="How long the breaker stays open before it allows a probe, in seconds.",
    )
