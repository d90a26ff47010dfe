"""Declares the environment variables of alerts and metrics, for :class:`config.variables.Environment`."""

from __future__ import annotations

from dataclasses import dataclass

from config import parsers
from config.variables.declaration import variable


@dataclass(frozen=True)
class AlertVariables:
    """When alerts fire, where they are posted, and who may read the metrics."""

    ALERT_WEBHOOK_URL: str | None = variable(
        parsers.http_url,
        example="(https://alerts.example.com/hook)",
        help="URL to which alerts are posted when they fire and when they end. Unset: they are only logged.",
        is_secret=True,  # its path may be all that a receiver asks for
    )
    ALERT_WEBHOOK_SECRET: str = variable(
        parsers.text_of(min_length=8, max_length=4096),
        default="",
        example="(32 random characters)",
        help=(
            "Key of the HMAC signature of notices to ALERT_WEBHOOK_URL; required with it in production. "
            "Unset: notices are not signed."
        ),
        is_secret=True,
    )
    ALERT_URLS: str = variable(
        parsers.service_urls,
        default="",
        example="(addresses such as slack://TokenA/TokenB/TokenC/%23ops)",
        help=(
            "Where notices of alerts go besides ALERT_WEBHOOK_URL: addresses of apprise (mail, Slack, "
            "Feishu, DingTalk, WeCom, Telegram and others), separated by spaces or commas."
        ),
        is_secret=True,
    )
    ALERT_COOLDOWN_MINUTES: int = variable(
        parsers.integer(minimum=0, maximum=10_080),
        default=30,
        help="Minimum time between two notices that the same alert has fired, in minutes.",
    )
    ALERT_WINDOW_MINUTES: int = variable(
        parsers.integer(minimum=5, maximum=1440),
        default=60,
        help="Length of the window for rates and durations, in minutes.",
    )
    ALERT_MIN_COLLECTIONS: int = variable(
        parsers.integer(minimum=1, maximum=100_000),
        default=10,
        help="Minimum number of collections in the window to evaluate success rate and duration.",
    )
    ALERT_MIN_READS: int = variable(
        parsers.integer(minimum=1, maximum=10_000_000),
        default=50,
        help="Minimum number of reads in the window to evaluate the cache hit rate.",
    )
    ALERT_SUCCESS_RATE_WARNING: float = variable(
        parsers.number(minimum=0, maximum=1),
        default=0.95,
        help="low_success_rate fires when the share of collections with an answer is below this.",
    )
    ALERT_SUCCESS_RATE_CRITICAL: float = variable(
        parsers.number(minimum=0, maximum=1),
        default=0.8,
        help="critical_success_rate fires when the share of collections with an answer is below this.",
    )
    ALERT_LATENCY_SECONDS: float = variable(
        parsers.number(minimum=0.1, maximum=86_400),
        default=30.0,
        help="high_latency fires when the average time from request to answer exceeds this, in seconds.",
    )
    ALERT_CACHE_HIT_RATE: float = variable(
        parsers.number(minimum=0, maximum=1),
        default=0.5,
        help="low_cache_hit_rate fires when the share of reads that are hits is below this.",
    )
    ALERT_EMPTY_STREAK: int = variable(
        parsers.integer(minimum=1, maximum=100),
        default=3,
        help="empty_streak fires after this many consecutive empty answers of one data set.",
    )
    ALERT_QUEUE_STUCK_MINUTES: int = variable(
        parsers.integer(minimum=1, maximum=10_080),
        default=30,
        help="queue_stuck fires when collections wait longer than this, in minutes.",
    )
    ALERT_WORKER_SILENT_SECONDS: int = variable(
        parsers.integer(minimum=90, maximum=86_400),
        default=180,
        help="worker_silent fires when no worker has reported for this time, in seconds.",
    )
    SENTRY_DSN: str = variable(
        parsers.sentry_dsn,
        default="",
        example="(https://KEY@sentry.example.com/1)",
        help="DSN of the Sentry project that unexpected errors are reported to. Unset: they are only logged.",
        is_secret=True,
    )
    METRICS_TOKEN: str = variable(
        parsers.bearer_key,
        default="",
        example="(32 random characters)",
        help="Bearer token that /metrics requires. Unset: /metrics is closed.",
        is_secret=True,
    )
