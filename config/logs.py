"""Structured logs: one line per event, JSON in production, with secrets removed before they are written."""

from __future__ import annotations

import logging
import logging.config
import re
from collections.abc import Mapping
from typing import Any

from apps.core.unwanted import unwanted

# For tracebacks that we let nobody write: ours are plain text by the time a line is rendered.
with unwanted("rich", "better_exceptions"):
    import structlog

_SECRET_KEYS = re.compile(r"password|secret|token|authorization|api_?key|cookie|signature", re.IGNORECASE)
# Credentials inside URLs (mongodb://user:pass@host), bearer headers and our own tokens inside free text.
_SECRET_TEXT = (
    (re.compile(r"(?<=://)[^/@\s]+(?=@)"), "***"),
    (re.compile(r"(?i)(bearer\s+)[A-Za-z0-9._~+/=-]+"), r"\1***"),
    (re.compile(r"(?i)((?:token|secret|password|api_?key)=)[^&\s'\"]+"), r"\1***"),
    (re.compile(r"mlc_[A-Za-z0-9_-]{8,}"), "mlc_***"),
    (re.compile(r"eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]+"), "eyJ***"),  # a login token
)
# Characters that a terminal obeys or breaks a line at, and those that turn the direction of a text.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_REFUSED_BY_DJANGO = ("DisallowedHost", "RequestDataTooBig", "TooManyFieldsSent", "TooManyFilesSent")
_TRACEBACKS = frozenset({"exception", "stack"})


def scrub_text(text: str) -> str:
    """Replace anything in the text that looks like a credential."""
    for pattern, replacement in _SECRET_TEXT:
        text = pattern.sub(replacement, text)
    return text


def _scrub(_logger: Any, _method: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    return {key: _scrubbed(value, key="" if key == "event" else key) for key, value in event.items()}


def _scrubbed(value: Any, *, key: str = "") -> Any:
    """Return the value without credentials; everything under a secret's name is one."""
    if value is not None and _SECRET_KEYS.search(key):
        return "***"
    if isinstance(value, str):
        return scrub_text(value)
    if isinstance(value, Mapping):
        return {str(name): _scrubbed(inner, key=str(name)) for name, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_scrubbed(item) for item in value]
    return value


def _scrub_line(_logger: Any, _method: str, line: Any) -> Any:
    """Look once more at the written line: objects become text only there (a request, an exception)."""
    return scrub_text(line)


def _escape_values(_logger: Any, _method: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    """Keep what a client has sent from beginning a line of its own; JSON does that by itself."""
    return {
        key: _escaped(value) if isinstance(value, str) and key not in _TRACEBACKS else value
        for key, value in event.items()
    }


def _escape_line(_logger: Any, _method: str, line: Any) -> Any:
    """Keep the rest, such as a traceback, from speaking to the terminal."""
    return "\n".join(map(_escaped, line.split("\n")))


def _escaped(text: str) -> str:
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


# What happens to each event, whoever logs it; the standard library's records get here, too.
_SHARED: list[structlog.types.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.stdlib.ExtraAdder(),
    structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def line_formatter(log_format: str) -> logging.Formatter:
    """Return what turns a record into its line; granian's own lines go through it, too."""
    rendering: list[structlog.types.Processor] = (
        [structlog.processors.JSONRenderer(ensure_ascii=False)]
        if log_format == "json"
        else [_escape_values, structlog.dev.ConsoleRenderer(colors=False), _escape_line]
    )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_SHARED,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _scrub,
            *rendering,
            _scrub_line,
        ],
    )


def configure_logging(*, level: str, log_format: str) -> None:
    """Set up structlog and the standard library's logging to write the same lines to stderr."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "structured": {"()": line_formatter, "log_format": log_format},
            },
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "structured"}},
            "root": {"handlers": ["stderr"], "level": level},
            "loggers": {
                # Who logged in or changed what is written whatever the level.
                "collector.audit": {"level": "INFO"},
                # httpx logs full URLs, and the webhook's holds an attempt token.
                "httpx": {"level": "WARNING"},
                "httpcore": {"level": "WARNING"},
                "pymongo": {"level": "WARNING"},
                # django-q2 logs each enqueued and processed task; our own lines say what they did.
                "django-q": {"level": "WARNING"},
                # Django logs every 4xx answer; our access line says the same once.
                "django.request": {"level": "ERROR"},
                # And a traceback for each scanner that asks for a host that is not ours, or sends too much.
                **{f"django.security.{name}": {"level": "CRITICAL"} for name in _REFUSED_BY_DJANGO},
            },
        }
    )
