"""System checks: rules that concern more than one setting."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

_INSTALL = "Run `pip install --require-hashes -r locked/observability.txt`"

YEAR_SECONDS = 31_536_000


@register
def check_environment(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Warn of variables that are set but mean something else than it seems."""
    return [Warning(note, id="collector.W006") for note in settings.ENVIRONMENT_NOTES]


@register
def check_tracing(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Refuse to start when traces are wanted and cannot be sent."""
    if not settings.IS_TRACED:
        return []
    messages: list[CheckMessage] = []
    if not is_installed("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http"):
        messages.append(
            Error(
                "OTEL_EXPORTER_OTLP_ENDPOINT is set, but the packages that send traces are not installed.",
                hint=f"{_INSTALL}, or set OTEL_SDK_DISABLED=true.",
                id="collector.E002",
            )
        )
    if settings.OTLP_PROTOCOL not in ("", "http/protobuf"):
        messages.append(
            Error(
                "OTEL_EXPORTER_OTLP_PROTOCOL must be http/protobuf: traces are sent in no other way.",
                hint="Use the port of the receiver for HTTP, which is 4318 by default.",
                id="collector.E003",
            )
        )
    return messages


@register
def check_error_reports(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Refuse to start when errors are to be reported and the package for it is missing."""
    if not settings.SENTRY_DSN or is_installed("sentry_sdk"):
        return []
    return [
        Error(
            "SENTRY_DSN is set, but the package sentry-sdk is not installed.",
            hint=f"{_INSTALL}, or unset SENTRY_DSN.",
            id="collector.E004",
        )
    ]


def is_installed(*modules: str) -> bool:
    """Whether all of these modules could be imported."""
    try:
        return all(find_spec(name) is not None for name in modules)
    except ModuleNotFoundError:  # a package above one of them is missing
        return False


@register
def check_hosts(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Warn when a production installation answers to every host name."""
    if settings.ENV != "production" or "*" not in settings.ALLOWED_HOSTS:
        return []
    return [
        Warning(
            "ALLOWED_HOSTS=* in production: requests with a made-up Host header are answered, so links and "
            "cached pages can be made to lead to another server.",
            hint="Name the hosts at which clients reach this server, such as www.example.com.",
            id="collector.W007",
        )
    ]


@register
def check_proxy(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Warn when the settings imply a proxy, but TRUSTED_PROXIES does not name it."""
    if not settings.HTTPS_ONLY or settings.TRUSTED_PROXIES:
        return []
    return [
        Warning(
            "The pages are used by https only, so a proxy terminates TLS, but TRUSTED_PROXIES is not set: "
            "http is not redirected, browsers are not told to keep to https, and all clients appear to have "
            "the address of the proxy, and share one limit of login attempts.",
            hint="Set TRUSTED_PROXIES to the address of the proxy.",
            id="collector.W003",
        )
    ]


@register
def check_https(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Warn when passwords and sessions of a production installation may travel in the clear."""
    if settings.ENV != "production" or settings.HTTPS_ONLY:
        return []
    return [
        Warning(
            "HTTPS_ONLY=false in production: passwords, sessions and tokens can be read on their way.",
            hint="Put a proxy that terminates TLS in front of the server, and unset HTTPS_ONLY.",
            id="collector.W008",
        )
    ]


@register
def check_hsts(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Warn when HSTS_PRELOAD promises what the other settings do not keep."""
    is_kept = settings.SECURE_HSTS_INCLUDE_SUBDOMAINS and settings.SECURE_HSTS_SECONDS >= YEAR_SECONDS
    if not settings.SECURE_HSTS_PRELOAD or is_kept:
        return []
    return [
        Warning(
            "HSTS_PRELOAD has no effect without HSTS_SUBDOMAINS and HSTS_SECONDS of a year.",
            hint="Set both, or unset HSTS_PRELOAD.",
            id="collector.W010",
        )
    ]
