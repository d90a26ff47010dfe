"""Django settings; values that differ between installations come from :mod:`config.env`."""

from __future__ import annotations

import re
from ipaddress import ip_network
from typing import Any
from zoneinfo import ZoneInfo

from corsheaders.defaults import default_headers
from django.utils.translation import gettext_lazy

from config import admin_site as _admin_site
from config import env as _env
from config import input_names as _input_names
from config import openapi as _openapi
from config import version as _version
from config.error_reports import start as start_error_reports
from config.logs import configure_logging

BASE_DIR = _env.BASE_DIR
ENVIRONMENT, ENVIRONMENT_NOTES = _env.load_with_notes()

ENV = ENVIRONMENT.ENV
DEBUG = ENVIRONMENT.DEBUG
SECRET_KEY = ENVIRONMENT.SECRET_KEY
SECRET_KEY_FALLBACKS = list(ENVIRONMENT.SECRET_KEY_PREVIOUS)
ALLOWED_HOSTS = list(ENVIRONMENT.ALLOWED_HOSTS)
CSRF_TRUSTED_ORIGINS = list(ENVIRONMENT.CSRF_TRUSTED_ORIGINS)
TRUSTED_PROXIES = [ip_network(network) for network in ENVIRONMENT.TRUSTED_PROXIES]
JWT_SECRET = ENVIRONMENT.JWT_SECRET or ENVIRONMENT.SECRET_KEY
JWT_SECRET_PREVIOUS = (
    ENVIRONMENT.JWT_SECRET_PREVIOUS if ENVIRONMENT.JWT_SECRET else ENVIRONMENT.SECRET_KEY_PREVIOUS
)
MENGLA_WEBHOOK_URL = ENVIRONMENT.MENGLA_WEBHOOK_URL or f"{ENVIRONMENT.APP_BASEURL}/api/webhook/mengla-notify"

# --- The product's own variables, each a setting of the same name -----------------------------------

MONGO_URI = ENVIRONMENT.MONGO_URI
MONGO_DB = ENVIRONMENT.MONGO_DB
REDIS_URI = ENVIRONMENT.REDIS_URI
COLLECT_SERVICE_URL = ENVIRONMENT.COLLECT_SERVICE_URL
COLLECT_SERVICE_API_KEY = ENVIRONMENT.COLLECT_SERVICE_API_KEY
COLLECT_TASK_NAME = ENVIRONMENT.COLLECT_TASK_NAME
APP_BASEURL = ENVIRONMENT.APP_BASEURL
WEBHOOK_SECRET = ENVIRONMENT.WEBHOOK_SECRET
WEBHOOK_SECRET_PREVIOUS = ENVIRONMENT.WEBHOOK_SECRET_PREVIOUS
JWT_EXPIRE_HOURS = ENVIRONMENT.JWT_EXPIRE_HOURS
ADMIN_PATH = ENVIRONMENT.ADMIN_PATH
ADMIN_PASSWORD_LOGIN = ENVIRONMENT.ADMIN_PASSWORD_LOGIN
OIDC_ISSUER_URL = ENVIRONMENT.OIDC_ISSUER_URL
OIDC_CLIENT_ID = ENVIRONMENT.OIDC_CLIENT_ID or ""
OIDC_CLIENT_SECRET = ENVIRONMENT.OIDC_CLIENT_SECRET
OIDC_SCOPES = ENVIRONMENT.OIDC_SCOPES
OIDC_GROUPS_CLAIM = ENVIRONMENT.OIDC_GROUPS_CLAIM
OIDC_GROUP_ROLES = ENVIRONMENT.OIDC_GROUP_ROLES
OIDC_REQUIRED_GROUP = ENVIRONMENT.OIDC_REQUIRED_GROUP
OIDC_CREATE_USERS = ENVIRONMENT.OIDC_CREATE_USERS
OIDC_SESSION_HOURS = ENVIRONMENT.OIDC_SESSION_HOURS
OIDC_NAME = ENVIRONMENT.OIDC_NAME
ADMIN_USERNAME = ENVIRONMENT.ADMIN_USERNAME
ADMIN_PASSWORD = ENVIRONMENT.ADMIN_PASSWORD
COLLECT_INTERVAL_SECONDS = ENVIRONMENT.COLLECT_INTERVAL_SECONDS
COLLECT_MAX_ATTEMPTS = ENVIRONMENT.COLLECT_MAX_ATTEMPTS
COLLECT_RETRY_DELAY_SECONDS = ENVIRONMENT.COLLECT_RETRY_DELAY_SECONDS
COLLECT_GIVE_UP_HOURS = ENVIRONMENT.COLLECT_GIVE_UP_HOURS
COLLECT_WINDOW_START = ENVIRONMENT.COLLECT_WINDOW_START
COLLECT_WINDOW_END = ENVIRONMENT.COLLECT_WINDOW_END
MAX_INFLIGHT_REQUESTS = ENVIRONMENT.MAX_INFLIGHT_REQUESTS
MAX_WAITING_PER_CALLER = ENVIRONMENT.MAX_WAITING_PER_CALLER
MENGLA_TIMEOUT_SECONDS = ENVIRONMENT.MENGLA_TIMEOUT_SECONDS
COLLECT_REQUEST_TIMEOUT_SECONDS = ENVIRONMENT.COLLECT_REQUEST_TIMEOUT_SECONDS
CB_FAILURE_THRESHOLD = ENVIRONMENT.CB_FAILURE_THRESHOLD
CB_SUCCESS_THRESHOLD = ENVIRONMENT.CB_SUCCESS_THRESHOLD
CB_TIMEOUT = ENVIRONMENT.CB_TIMEOUT
L1_CACHE_MAX_SIZE = ENVIRONMENT.L1_CACHE_MAX_SIZE
L1_CACHE_MAX_BYTES = ENVIRONMENT.L1_CACHE_MAX_BYTES
L1_CACHE_TTL = ENVIRONMENT.L1_CACHE_TTL
TTL_DAY_SECONDS = ENVIRONMENT.TTL_DAY_SECONDS
TTL_MONTH_SECONDS = ENVIRONMENT.TTL_MONTH_SECONDS
TTL_QUARTER_SECONDS = ENVIRONMENT.TTL_QUARTER_SECONDS
TTL_YEAR_SECONDS = ENVIRONMENT.TTL_YEAR_SECONDS
EMPTY_TTL_SECONDS = ENVIRONMENT.EMPTY_TTL_SECONDS
SETTLE_HOURS = ENVIRONMENT.SETTLE_HOURS
RETENTION_DAY_DAYS = ENVIRONMENT.RETENTION_DAY_DAYS
RETENTION_MONTH_DAYS = ENVIRONMENT.RETENTION_MONTH_DAYS
RETENTION_QUARTER_DAYS = ENVIRONMENT.RETENTION_QUARTER_DAYS
RETENTION_YEAR_DAYS = ENVIRONMENT.RETENTION_YEAR_DAYS
CRON_TICK = ENVIRONMENT.CRON_TICK
CRON_DAILY_COLLECT = ENVIRONMENT.CRON_DAILY_COLLECT
CRON_MONTHLY_COLLECT = ENVIRONMENT.CRON_MONTHLY_COLLECT
CRON_QUARTERLY_COLLECT = ENVIRONMENT.CRON_QUARTERLY_COLLECT
CRON_YEARLY_COLLECT = ENVIRONMENT.CRON_YEARLY_COLLECT
CRON_BACKFILL_CHECK = ENVIRONMENT.CRON_BACKFILL_CHECK
CRON_ALERT_CHECK = ENVIRONMENT.CRON_ALERT_CHECK
BACKFILL_DAYS = ENVIRONMENT.BACKFILL_DAYS
BACKFILL_MONTHS = ENVIRONMENT.BACKFILL_MONTHS
BACKFILL_QUARTERS = ENVIRONMENT.BACKFILL_QUARTERS
BACKFILL_YEARS = ENVIRONMENT.BACKFILL_YEARS
ALERT_WEBHOOK_URL = ENVIRONMENT.ALERT_WEBHOOK_URL
ALERT_WEBHOOK_SECRET = ENVIRONMENT.ALERT_WEBHOOK_SECRET
ALERT_URLS = ENVIRONMENT.ALERT_URLS
ALERT_COOLDOWN_MINUTES = ENVIRONMENT.ALERT_COOLDOWN_MINUTES
ALERT_WINDOW_MINUTES = ENVIRONMENT.ALERT_WINDOW_MINUTES
ALERT_MIN_COLLECTIONS = ENVIRONMENT.ALERT_MIN_COLLECTIONS
ALERT_MIN_READS = ENVIRONMENT.ALERT_MIN_READS
ALERT_SUCCESS_RATE_WARNING = ENVIRONMENT.ALERT_SUCCESS_RATE_WARNING
ALERT_SUCCESS_RATE_CRITICAL = ENVIRONMENT.ALERT_SUCCESS_RATE_CRITICAL
ALERT_LATENCY_SECONDS = ENVIRONMENT.ALERT_LATENCY_SECONDS
ALERT_CACHE_HIT_RATE = ENVIRONMENT.ALERT_CACHE_HIT_RATE
ALERT_EMPTY_STREAK = ENVIRONMENT.ALERT_EMPTY_STREAK
ALERT_QUEUE_STUCK_MINUTES = ENVIRONMENT.ALERT_QUEUE_STUCK_MINUTES
ALERT_WORKER_SILENT_SECONDS = ENVIRONMENT.ALERT_WORKER_SILENT_SECONDS
METRICS_TOKEN = ENVIRONMENT.METRICS_TOKEN
COMPAT_API = ENVIRONMENT.COMPAT_API
COMPAT_PREFIX = ENVIRONMENT.COMPAT_PREFIX
COMPAT_WAIT_SECONDS = ENVIRONMENT.COMPAT_WAIT_SECONDS
COMPAT_TOKENS_UNTIL = ENVIRONMENT.COMPAT_TOKENS_UNTIL
COMPAT_ROUTE = rf"^{re.escape(COMPAT_PREFIX[1:])}/api(?:/|$)"  # of the addresses below the prefix
WEB_WORKERS = ENVIRONMENT.WEB_WORKERS
WEB_THREADS = ENVIRONMENT.WEB_THREADS
WEB_ONE_CORE = ENVIRONMENT.WEB_ONE_CORE
DRAIN_SECONDS = ENVIRONMENT.DRAIN_SECONDS
QUEUE_WORKERS = ENVIRONMENT.QUEUE_WORKERS
WORKER_HEARTBEAT_FILE = ENVIRONMENT.WORKER_HEARTBEAT_FILE

IS_TRACED = _env.is_tracing_wanted()  # by the variables of OpenTelemetry
OTLP_PROTOCOL = _env.otlp_protocol()
SENTRY_DSN = ENVIRONMENT.SENTRY_DSN
TRACED_SERVICE_NAME = "mengla-collector"  # unless OTEL_SERVICE_NAME is set

# --- Applications ---------------------------------------------------------------------------------

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",  # before the admin, whose templates it replaces
    "config.apps.MongoAdminConfig",
    "config.apps.MongoAuthConfig",
    "config.apps.MongoContentTypesConfig",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "corsheaders",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "apps.launcher",  # before django-q2, whose command it replaces
    "config.apps.MongoDjangoQConfig",
    "apps.core",
    "apps.auth",
    "apps.categories",
    "apps.sync_tasks",
    "apps.mengla",
    "apps.panels",
    "apps.admin",
    "apps.compat",
]
# The migrations in Django and django-q2 create integer keys; these create ObjectId keys.
MIGRATION_MODULES = {
    "admin": "config.mongo_migrations.admin",
    "auth": "config.mongo_migrations.auth",
    "contenttypes": "config.mongo_migrations.contenttypes",
    "django_q": "config.mongo_migrations.django_q",
}
DEFAULT_AUTO_FIELD = "django_mongodb_backend.fields.ObjectIdAutoField"

# From the outside to the view. A request of the API passes those up to ApiMiddleware; the others are for the
# pages of the admin and for API_PAGES. So which part of the site passes what is said here alone.
MIDDLEWARE = [
    "apps.core.web.proxies.TrustedProxyMiddleware",
    "apps.core.web.middleware.RequestIdMiddleware",
    "django.middleware.locale.LocaleMiddleware",  # before all that return translated texts
    "apps.core.web.middleware.AccessLogMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "apps.core.web.page_headers.PageHeadersMiddleware",
    "apps.core.web.middleware.EnvelopeMiddleware",
    "apps.core.admin_base.outage_page.OutagePageMiddleware",
    "apps.core.web.middleware.HostMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "apps.core.web.middleware.BodyMiddleware",
    "apps.core.web.middleware.TrailingSlashMiddleware",
    "apps.core.web.middleware.ApiMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "apps.auth.entry.sessions.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
# The paths below which every answer is JSON, errors of the middleware, too.
API_ROOTS = ("/api", f"{COMPAT_PREFIX}/api") if COMPAT_API else ("/api",)
API_PAGES = frozenset({"/api/docs"})  # addresses of the API that are pages for people
PROBES = frozenset({"/health", "/ready", "/metrics"})  # they answer whatever host they are asked by
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "apps/core/theme"],  # templates that override those of the theme
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
UNFOLD = _admin_site.UNFOLD  # title, icon and sidebar of the admin
LOGIN_URL = "admin:login"
CSRF_FAILURE_VIEW = "apps.core.web.views.csrf_failure"
LOGIN_REDIRECT_URL = "admin:index"  # after a login without a `next` parameter
STATIC_URL = "/static/"
WHITENOISE_USE_FINDERS = True  # no collectstatic step is needed before the first start

# --- MongoDB and Redis ----------------------------------------------------------------------------

# When MongoDB hangs, a request must still end within three seconds. So an operation of a web process ends
# earlier than that, even after authentication has waited one second for MongoDB. Code that may take longer
# sets `pymongo.timeout(seconds)` itself.
MONGO_OPERATION_TIMEOUT_MS = 1500
DATABASES = {
    "default": {
        "ENGINE": "apps.core.storage.database",
        "HOST": ENVIRONMENT.MONGO_URI,
        "NAME": ENVIRONMENT.MONGO_DB,
        "OPTIONS": {
            "appname": "mengla-collector",
            "connectTimeoutMS": MONGO_OPERATION_TIMEOUT_MS,
            "serverSelectionTimeoutMS": MONGO_OPERATION_TIMEOUT_MS,
            "timeoutMS": MONGO_OPERATION_TIMEOUT_MS,
            "tz_aware": False,
            "retryWrites": True,
        },
    },
}
REDIS_TIMEOUT_SECONDS = 0.5
REDIS_KEY_PREFIX = "mengla:"  # of all keys except those of the Django cache
CACHES = {
    "default": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": ENVIRONMENT.REDIS_URI,
        "KEY_PREFIX": "mengla:cache",
        "OPTIONS": {
            "CONNECTION_POOL_KWARGS": {
                "socket_timeout": REDIS_TIMEOUT_SECONDS,
                "socket_connect_timeout": REDIS_TIMEOUT_SECONDS,
                "health_check_interval": 30,
            },
        },
    },
}
SESSION_ENGINE = "apps.core.storage.sessions"

# --- How long a process waits for a server that may hang ------------------------------------------

# These values depend on each other, so no environment variable changes them: a request may wait for three
# seconds in all, and so may each check of `diagnose`.
OUTAGE_REMEMBERED_SECONDS = 2.0  # after a failure, no other caller waits for the server for this time
MONGO_AWAKE_TIMEOUT_SECONDS = 0.3  # one ping before each operation during an outage
AUTH_TIMEOUT_SECONDS = 1.0  # to look up the caller of a token in MongoDB, and to record its use
# Leaves time for authentication: it may wait one second for MongoDB, and half a second for Redis.
PARTS_DEADLINE_SECONDS = 2.4
# Leaves one second for authentication. When the alerts cannot be read in time, the response is a 503.
ALERTS_TIMEOUT_SECONDS = 1.8
RUN_CANCEL_SECONDS = 1.0  # a request cancels collections of a run for this time; a worker cancels the rest
HEALTH_CHECK_TIMEOUT_SECONDS = 2.0
CLOCKS_DEADLINE_SECONDS = 0.5  # to compare the clocks, after the health checks
DIAGNOSIS_LIMIT_SECONDS = 3.0
DIAGNOSIS_REQUEST_SECONDS = 2.5  # so that the HTTP requests of a check end before the limit

# How long the reason why collections wait is shown after it has changed.
OBSTACLE_REMEMBERED_SECONDS = 0.5

# --- Worker cluster -------------------------------------------------------------------------------

Q_CLUSTER = {
    "name": "mengla",
    "label": gettext_lazy("Background tasks"),  # the title of its pages in the admin
    "broker_class": "apps.core.scheduling.broker.RedisBroker",
    "workers": ENVIRONMENT.QUEUE_WORKERS,
    "queue_limit": 50,
    "timeout": 600,
    "retry": 660,
    "recycle": 500,
    "save_limit": 250,
    "max_attempts": 1,
    "ack_failures": True,  # a failed task has ended, too: see apps/core/scheduling/cluster_broker.py
    "catch_up": False,
    "time_zone": "Asia/Shanghai",
    "log_level": ENVIRONMENT.LOG_LEVEL,
}

# --- API ------------------------------------------------------------------------------------------

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["apps.auth.entry.authentication.BearerAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["apps.auth.permissions.IsReader"],
    "DEFAULT_RENDERER_CLASSES": ["apps.core.api.renderers.EnvelopeRenderer"],
    "DEFAULT_PARSER_CLASSES": ["apps.core.api.parsers.StrictJSONParser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "apps.core.api.negotiation.AlwaysJSON",
    "EXCEPTION_HANDLER": "apps.core.api.exceptions.envelope_exception_handler",
    "DEFAULT_SCHEMA_CLASS": "apps.core.api.openapi.auto_schema.EnvelopeAutoSchema",
    "UNAUTHENTICATED_USER": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
INPUT_NAME_GROUPS = _input_names.INPUT_NAME_GROUPS
VERSION = _version.VERSION
SPECTACULAR_SETTINGS = _openapi.SPECTACULAR_SETTINGS
OPENAPI_VALUES = _openapi.VALUES
CORS_ALLOWED_ORIGINS = list(ENVIRONMENT.CORS_ALLOWED_ORIGINS)
CORS_URLS_REGEX = rf"^(?:{'|'.join(map(re.escape, API_ROOTS))})(?:/.*)?$"
CORS_ALLOW_HEADERS = [*default_headers, "if-match", "if-none-match", "x-request-id"]
CORS_EXPOSE_HEADERS = [
    "Age",
    "Content-Disposition",
    "ETag",
    "Location",
    "Retry-After",
    "X-MengLa-Export-Empty",
    "X-MengLa-Export-Missing",
    "X-MengLa-Export-Missing-Periods",
    "X-MengLa-Export-Records",
    "X-MengLa-Export-Rows",
    "X-MengLa-Freshness",
    "X-MengLa-Provisional",
    "X-MengLa-Source",
    "X-MengLa-Trend-Partial",
    "X-Request-ID",
]
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
WEBHOOK_MAX_BYTES = 20 * 1024 * 1024
MAX_BODY_BYTES = WEBHOOK_MAX_BYTES  # the maximum for every address
# Response headers that the access log records as extra fields.
ACCESS_LOG_HEADERS = {"tier": "X-MengLa-Source", "freshness": "X-MengLa-Freshness"}

# --- Security -------------------------------------------------------------------------------------

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
HTTPS_ONLY = ENVIRONMENT.is_https_only
X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
# Only addresses that people open are redirected. Balancers and the collection service may use http in their
# network. A program that calls the API by http has sent its token already, and a redirect would hide this.
# Without a known proxy no request counts as https, so the redirect would never end.
SECURE_SSL_REDIRECT = HTTPS_ONLY and bool(TRUSTED_PROXIES)
SECURE_REDIRECT_EXEMPT = [r"^(?:health|ready|metrics)$", r"^api/?$", r"^api/(?!docs/?$)"]
if COMPAT_API:
    SECURE_REDIRECT_EXEMPT.append(COMPAT_ROUTE)
SECURE_HSTS_SECONDS = ENVIRONMENT.HSTS_SECONDS if HTTPS_ONLY else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = ENVIRONMENT.HSTS_SUBDOMAINS
SECURE_HSTS_PRELOAD = ENVIRONMENT.HSTS_PRELOAD
# Both are promises for other hosts, which this installation does not know: nobody has to make them.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = HTTPS_ONLY
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = LANGUAGE_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = LANGUAGE_COOKIE_SAMESITE = "Lax"
if HTTPS_ONLY:
    # With this prefix, browsers take the cookie from this very host by https only, never from a subdomain.
    SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = "__Host-sessionid", "__Host-csrftoken"
# What the pages may load: docs/adr/0028-no-page-runs-inline-scripts.md. Django 6 has a setting of this name.
SECURE_CSP = {
    "default-src": ["'none'"],
    "script-src": ["'self'"],
    "style-src": ["'self'"],
    "img-src": ["'self'", "data:"],
    "font-src": ["'self'"],
    "connect-src": ["'self'"],
    "base-uri": ["'none'"],
    "form-action": ["'self'"],
    "frame-ancestors": ["'none'"],
}
PERMISSIONS_POLICY = "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()"
# Hides settings such as MONGO_URI, which contain passwords, in DEBUG error pages.
DEFAULT_EXCEPTION_REPORTER_FILTER = "apps.core.api.secret_filter.SecretFilter"

# --- Language, time, logs -------------------------------------------------------------------------

LANGUAGE_CODE = ENVIRONMENT.LANGUAGE_CODE  # when the client requests no supported language
LANGUAGES = [("en", "English"), ("zh-hans", "简体中文")]
LOCALE_PATHS = [BASE_DIR / "locale"]
USE_I18N = True
FORMAT_MODULE_PATH = "config.formats"
USE_TZ = True
TIME_ZONE = "Asia/Shanghai"
BUSINESS_TIME_ZONE = ZoneInfo("Asia/Shanghai")  # the market's day begins at midnight in this zone

LOGGING_CONFIG = None
LOG_FORMAT = ENVIRONMENT.LOG_FORMAT or ("json" if ENVIRONMENT.is_production else "console")
LOG_FILE = ENVIRONMENT.LOG_FILE
configure_logging(level=ENVIRONMENT.LOG_LEVEL, log_format=LOG_FORMAT)
start_error_reports(ENVIRONMENT, release=f"mengla-collector@{VERSION}")
