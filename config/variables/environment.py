"""The configuration of a process: the variables of all groups, and those that belong to no other group."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from config import parsers
from config.variables.access import KeyVariables
from config.variables.alerts import AlertVariables
from config.variables.collecting import CollectingVariables
from config.variables.compat import CompatVariables
from config.variables.declaration import Variable
from config.variables.declaration import variable as _variable
from config.variables.oidc import OidcVariables
from config.variables.web import WebVariables

# This key is public, so production refuses it in every variable.
DEVELOPMENT_KEY = "insecure-development-key-never-used-in-production"


@dataclass(frozen=True)
class Environment(
    CollectingVariables, AlertVariables, CompatVariables, KeyVariables, OidcVariables, WebVariables
):
    """The configuration of one process, parsed and checked."""

    ENV: str = _variable(
        parsers.one_of("development", "test", "production", aliases={"dev": "development"}),
        default="development",
        example="production",
        help="The kind of installation; `production` requires secrets and host names.",
    )
    DEBUG: bool = _variable(
        parsers.boolean,
        default=False,
        help="Django's debug mode; refused in production.",
    )
    SECRET_KEY: str = _variable(
        parsers.text_of(min_length=32),
        default=DEVELOPMENT_KEY,
        example="(50 random characters)",
        help="Signs sessions and task messages.",
        is_secret=True,
        is_required_in_production=True,
    )
    ALLOWED_HOSTS: tuple[str, ...] = _variable(
        parsers.hosts,
        default=("localhost", "127.0.0.1", "[::1]"),
        example="mengla.example.com",
        help="Host names at which clients reach this server, separated by commas.",
        is_required_in_production=True,
    )
    CSRF_TRUSTED_ORIGINS: tuple[str, ...] = _variable(
        parsers.origins,
        default=(),
        example="https://mengla.example.com",
        help="Origins that may post the admin's forms; needed behind a proxy that terminates TLS.",
    )
    TRUSTED_PROXIES: tuple[str, ...] = _variable(
        parsers.networks,
        default=(),
        example="127.0.0.1,10.0.0.0/24",
        help="Proxies in front of the server, whose `X-Forwarded-For` and `X-Forwarded-Proto` are trusted.",
    )

    MONGO_URI: str = _variable(
        parsers.mongo_uri,
        example="mongodb://127.0.0.1:27017/?replicaSet=rs0",
        help="MongoDB 6.0 or newer, a replica set.",
        is_secret=True,
        is_required=True,
    )
    MONGO_DB: str = _variable(
        parsers.database_name,
        default="industry_monitor",
        help="Name of the MongoDB database.",
    )
    REDIS_URI: str = _variable(
        parsers.redis_uri,
        example="redis://127.0.0.1:6379/0",
        help="Valkey, or Redis 6.2 or newer: caches, the task broker and shared state.",
        is_secret=True,
        is_required=True,
    )

    COLLECT_SERVICE_URL: str | None = _variable(
        parsers.http_url,
        example="https://collect.example.com",
        help="URL of the collection service. Unset: nothing is collected; stored figures are still served.",
    )
    COLLECT_SERVICE_API_KEY: str = _variable(
        parsers.bearer_key,
        default="",
        example="(the service's key)",
        help="Bearer key for the collection service.",
        is_secret=True,
    )
    COLLECT_TASK_NAME: str = _variable(
        parsers.text_of(max_length=200),
        default="萌啦数据采集",
        help="Name of the managed task at the collection service.",
    )
    APP_BASEURL: str = _variable(
        parsers.http_url,
        default="http://127.0.0.1:8000",
        example="https://mengla.example.com",
        help="URL at which the collection service reaches this server.",
    )
    MENGLA_WEBHOOK_URL: str | None = _variable(
        parsers.http_url,
        example="https://mengla.example.com/api/webhook/mengla-notify",
        help="Full URL of the webhook, if it is not APP_BASEURL + /api/webhook/mengla-notify.",
    )
    WEBHOOK_SECRET: str = _variable(
        parsers.text_of(min_length=8, max_length=4096),
        default="",
        example="(32 random characters)",
        help="Key of the webhook's HMAC signature. Unset: the attempt token in the URL is required instead.",
        is_secret=True,
        is_required_in_production=True,
    )

    ADMIN_PATH: str = _variable(
        parsers.admin_path,
        default="admin/",
        example="ops/",
        help="Path of the admin pages, if another program needs /admin/ at this address.",
    )
    JWT_SECRET: str | None = _variable(
        parsers.text_of(
            min_length=32,
            why=(
                "an attacker who guesses a shorter key can make valid tokens for any user. Set a new "
                "one, or remove the variable to sign with SECRET_KEY; users log in again"
            ),
        ),
        example="(50 random characters)",
        help="Signs login tokens. Unset: SECRET_KEY is used.",
        is_secret=True,
    )
    JWT_EXPIRE_HOURS: int = _variable(
        parsers.integer(
            minimum=1,
            maximum=8760,
            why=(
                "a stolen login would be valid for more than a year. Set at most 8760, and create an API "
                "token for a program"
            ),
        ),
        default=24,
        help="Lifetime of a login, in hours.",
    )
    ADMIN_USERNAME: str = _variable(
        parsers.text_of(max_length=150),
        default="admin",
        help="User name of the first admin.",
    )
    ADMIN_PASSWORD: str | None = _variable(
        parsers.text_of(
            min_length=8,
            max_length=1024,
            why=(
                "a shorter one can be guessed. Set a longer one for the admin that is created here; it is no "
                "longer read once that user exists"
            ),
        ),
        example="(a long password)",
        help="Password of the first admin; used only when that user is created.",
        is_secret=True,
    )
    CORS_ALLOWED_ORIGINS: tuple[str, ...] = _variable(
        parsers.origins,
        default=("http://localhost:5173",),
        example="https://app.example.com,http://localhost:5173",
        help="Browser origins that may call the API, separated by commas; `*` is refused.",
    )

    L1_CACHE_MAX_SIZE: int = _variable(
        parsers.integer(minimum=1, maximum=1_000_000),
        default=1000,
        help="Maximum number of entries in the cache of each process (L1).",
    )
    L1_CACHE_MAX_BYTES: int = _variable(
        parsers.integer(minimum=1, maximum=2**40),
        default=64 * 1024 * 1024,
        help="Maximum size of the bodies in the cache of each process (L1), plain and compressed, in bytes.",
    )
    L1_CACHE_TTL: int = _variable(
        parsers.integer(minimum=1, maximum=86_400),
        default=300,
        help="Maximum lifetime of an L1 entry, in seconds.",
    )
    TTL_DAY_SECONDS: int = _variable(
        parsers.integer(minimum=1, maximum=315_360_000),
        default=4 * 3600,
        help="How long a day's figures count as fresh, in seconds.",
    )
    TTL_MONTH_SECONDS: int = _variable(
        parsers.integer(minimum=1, maximum=315_360_000),
        default=24 * 3600,
        help="How long a month's figures count as fresh, in seconds.",
    )
    TTL_QUARTER_SECONDS: int = _variable(
        parsers.integer(minimum=1, maximum=315_360_000),
        default=7 * 86_400,
        help="How long a quarter's figures count as fresh, in seconds.",
    )
    TTL_YEAR_SECONDS: int = _variable(
        parsers.integer(minimum=1, maximum=315_360_000),
        default=30 * 86_400,
        help="How long a year's figures count as fresh, in seconds.",
    )
    EMPTY_TTL_SECONDS: int = _variable(
        parsers.integer(minimum=1, maximum=86_400),
        default=600,
        help="How long an empty answer counts as fresh, in seconds.",
    )
    SETTLE_HOURS: int = _variable(
        parsers.integer(minimum=0, maximum=720),
        default=0,
        help=(
            "Hours from a period's end until its figures are final; those collected earlier are provisional."
        ),
    )
    RETENTION_DAY_DAYS: int = _variable(
        parsers.integer(minimum=1, maximum=36_500),
        default=30,
        help="How long a day's figures are kept after they were collected, in days.",
    )
    RETENTION_MONTH_DAYS: int = _variable(
        parsers.integer(minimum=1, maximum=36_500),
        default=90,
        help="How long a month's figures are kept after they were collected, in days.",
    )
    RETENTION_QUARTER_DAYS: int = _variable(
        parsers.integer(minimum=1, maximum=36_500),
        default=365,
        help="How long a quarter's figures are kept after they were collected, in days.",
    )
    RETENTION_YEAR_DAYS: int = _variable(
        parsers.integer(minimum=1, maximum=36_500),
        default=730,
        help="How long a year's figures are kept after they were collected, in days.",
    )

    CRON_TICK: str = _variable(
        parsers.cron,
        default="* * * * *",
        help="When the tick runs, which handles overdue collections and repeats lost wake-ups.",
    )

    CRON_DAILY_COLLECT: str = _variable(
        parsers.cron,
        default="0 2 * * *",
        help="When the figures of the previous day are collected (Asia/Shanghai).",
    )
    CRON_MONTHLY_COLLECT: str = _variable(
        parsers.cron,
        default="0 3 1 * *",
        help="When the figures of the previous month are collected (Asia/Shanghai).",
    )
    CRON_QUARTERLY_COLLECT: str = _variable(
        parsers.cron,
        default="0 3 2 1,4,7,10 *",
        help="When the figures of the previous quarter are collected (Asia/Shanghai).",
    )
    CRON_YEARLY_COLLECT: str = _variable(
        parsers.cron,
        default="0 3 3 1 *",
        help="When the figures of the previous year are collected (Asia/Shanghai).",
    )
    CRON_BACKFILL_CHECK: str = _variable(
        parsers.cron,
        default="0 */4 * * *",
        help="When the backfill check collects gaps in the last closed periods (Asia/Shanghai).",
    )
    CRON_ALERT_CHECK: str = _variable(
        parsers.cron,
        default="* * * * *",
        help="When the alert rules are evaluated.",
    )
    BACKFILL_DAYS: int = _variable(
        parsers.integer(minimum=0, maximum=366),
        default=7,
        help="How many closed days the backfill check covers; 0 skips days.",
    )
    BACKFILL_MONTHS: int = _variable(
        parsers.integer(minimum=0, maximum=120),
        default=3,
        help="How many closed months the backfill check covers; 0 skips months.",
    )
    BACKFILL_QUARTERS: int = _variable(
        parsers.integer(minimum=0, maximum=40),
        default=4,
        help="How many closed quarters the backfill check covers; 0 skips quarters.",
    )
    BACKFILL_YEARS: int = _variable(
        parsers.integer(minimum=0, maximum=20),
        default=2,
        help="How many closed years the backfill check covers; 0 skips years.",
    )

    LANGUAGE_CODE: str = _variable(
        parsers.one_of("en", "zh-hans"),
        default="en",
        help="Language of commands, and of pages and messages when a client requests no other language.",
    )
    LOG_LEVEL: str = _variable(
        parsers.one_of("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"),
        default="INFO",
        help="Minimum level of log lines.",
    )
    LOG_FORMAT: str | None = _variable(
        parsers.one_of("json", "console"),
        example="json",
        help="Format of log lines. Unset: json in production, console elsewhere.",
    )
    LOG_FILE: str = _variable(
        parsers.text_of(max_length=4096),
        default="",
        example="/var/log/mengla/collector.log",
        help="File with the log lines, which whoever starts the processes writes. Pages of collections show "
        "the lines in it.",
    )
    WEB_WORKERS: int = _variable(
        parsers.integer(minimum=1, maximum=256),
        default=2,
        example="4",
        help="Number of processes of the web server.",
    )
    WEB_THREADS: int = _variable(
        parsers.integer(minimum=2, maximum=1024),
        default=16,
        help="Threads of each web process; at most half of them may wait for a collection.",
    )
    WEB_ONE_CORE: bool = _variable(
        parsers.boolean,
        default=True,
        help="Keep the threads of a web process on one core if there are more cores than processes (Linux).",
    )
    DRAIN_SECONDS: float = _variable(
        parsers.number(minimum=0, maximum=300),
        default=0.0,
        example="10",
        help="How long a web process goes on after SIGTERM while /ready is 503, so that a load balancer "
        "takes it out first, in seconds.",
    )
    QUEUE_WORKERS: int = _variable(
        parsers.integer(minimum=2, maximum=64),
        default=3,
        help="Processes of each worker cluster; one of them may be busy with dispatching.",
    )
    WORKER_HEARTBEAT_FILE: str = _variable(
        parsers.text_of(max_length=4096),
        default="",
        example="/tmp/worker",  # noqa: S108 - of a container, which has a directory of its own
        help="File that a worker touches every two seconds, for the probe of a container engine. "
        "Unset: none.",
    )

    @property
    def is_production(self) -> bool:
        """Whether this is a production installation."""
        return self.ENV == "production"

    @property
    def is_https_only(self) -> bool:
        """Whether browsers use the pages by https only."""
        is_https = self.is_production or self.APP_BASEURL.startswith("https://")
        return is_https if self.HTTPS_ONLY is None else self.HTTPS_ONLY


def variables() -> dict[str, tuple[Variable, Any]]:
    """Return the declaration and the default of every variable, by name."""
    return {
        field.name: (field.metadata["variable"], field.default) for field in dataclasses.fields(Environment)
    }
