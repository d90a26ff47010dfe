"""The environment variables of alerts and metrics; a part of :class:`config.variables.Environment`."""

from __future__ import annotations

from dataclasses import dataclass

from config import parsers
from config.variable import variable


@dataclass(frozen=True)
class AlertVariables:
    """When alerts fire, whom they are told, and who may read the metrics."""

    ALERT_WEBHOOK_URL: str | None = variable(
        parsers.http_url,
        example="https://alerts.example.com/hook",
        help="Where alerts are posted when they fire and when they end. Unset: they are only logged.",
    )
    ALERT_WEBHOOK_SECRET: str = variable(
        parsers.text_of(min_length=8, max_length=4096),
        default="",
        example="(32 random characters)",
        help=(
            "Key of the HMAC signature of what is posted to ALERT_WEBHOOK_URL; in production required with "
            "it. Unset: it is not signed."
        ),
        is_secret=True,
    )
    ALERT_COOLDOWN_MINUTES: int = variable(
        parsers.integer(minimum=0, maximum=10_080),
        default=30,
        help="An alert that fires again within this time since it was told last is told when it is over.",
    )
    ALERT_WINDOW_MINUTES: int = variable(
        parsers.integer(minimum=5, maximum=1440),
        default=60,
        help="The last minutes that rates and durations are judged by.",
    )
    ALERT_MIN_COLLECTIONS: int = variable(
        parsers.integer(minimum=1, maximum=100_000),
        default=10,
        help="Fewer collections than this in the window say nothing about success rate and duration.",
    )
    ALERT_MIN_READS: int = variable(
        parsers.integer(minimum=1, maximum=10_000_000),
        default=50,
        help="Fewer questions than this in the window say nothing about the cache hit rate.",
    )
    ALERT_SUCCESS_RATE_WARNING: float = variable(
        parsers.number(minimum=0, maximum=1),
        default=0.95,
        help="low_success_rate fires below this share of collections that got an answer.",
    )
    ALERT_SUCCESS_RATE_CRITICAL: float = variable(
        parsers.number(minimum=0, maximum=1),
        default=0.8,
        help="critical_success_rate fires below this share of collections that got an answer.",
    )
    ALERT_LATENCY_SECONDS: float = variable(
        parsers.number(minimum=0.1, maximum=86_400),
        default=30.0,
        help="high_latency fires when the mean time from request to answer is longer than this, in seconds.",
    )
    ALERT_CACHE_HIT_RATE: float = variable(
        parsers.number(minimum=0, maximum=1),
        default=0.5,
        help="low_cache_hit_rate fires below this share of questions that are answered at once.",
    )
    ALERT_EMPTY_STREAK: int = variable(
        parsers.integer(minimum=1, maximum=100),
        default=3,
        help="empty_streak fires when this many answers in a row of one action were empty.",
    )
    ALERT_QUEUE_STUCK_MINUTES: int = variable(
        parsers.integer(minimum=1, maximum=10_080),
        default=30,
        help="queue_stuck fires when collections wait for longer than this, in minutes.",
    )
    ALERT_WORKER_SILENT_SECONDS: int = variable(
        parsers.integer(minimum=90, maximum=86_400),
        default=180,
        help="worker_silent fires when no worker has reported for longer than this, in seconds.",
    )
    METRICS_TOKEN: str = variable(
        parsers.bearer_key,
        default="",
        example="(32 random characters)",
        help="Bearer token that /metrics demands. Unset: it answers only clients on this machine.",
        is_secret=True,
    )
