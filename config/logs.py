"""Structured logs: one line per event, JSON in production, with secrets removed before they are written."""

from __future__ import annotations

import logging
import logging.config
import re
from collections.abc import Mapping
from typing import Any

from apps.core.unwanted import unwanted

# structlog would use these packages to render tracebacks; ours are rendered as plain text.
with unwanted("rich", "better_exceptions"):
    import structlog

_SECRET_KEYS = re.compile(r"password|secret|token|authorization|api_?key|cookie|signature", re.IGNORECASE)
# Credentials in URLs (mongodb://user:pass@host), bearer headers and our own tokens in free text.
_SECRET_TEXT = (
    (re.compile(r"(?<=://)[^/@\s]+(?=@)"), "***"),
    (re.compile(r"(?i)(bearer\s+)[A-Za-z0-9._~+/=-]+"), r"\1***"),
    (re.compile(r"(?i)((?:token|secret|password|api_?key)=)[^&\s'\"]+"), r"\1***"),
    (re.compile(r"mlc_[A-Za-z0-9_-]{8,}"), "mlc_***"),
    (re.compile(r"eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]+"), "eyJ***"),  # a login token
)
# Control characters, line breaks, and characters that change the direction of text.
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
    """Return the value without credentials; the whole value is one when its key names a secret."""
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
    """Scrub the rendered line again: objects such as requests and exceptions become text only there."""
    return scrub_text(line)


def _escape_values(_logger: Any, _method: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    """Escape control characters, so that input of a client cannot begin a new line; JSON does so anyway."""
    return {
        key: _escaped(value) if isinstance(value, str) and key not in _TRACEBACKS else value
        for key, value in event.items()
    }


def _escape_line(_logger: Any, _method: str, line: Any) -> Any:
    """Escape control characters in the rest, such as a traceback, so that they do not reach the terminal."""
    return "\n".join(map(_escaped, line.split("\n")))


def _escaped(text: str) -> str:
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


# Applied to every event, of structlog and of the standard library's logging.
_SHARED: list[structlog.types.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.stdlib.ExtraAdder(),
    structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def line_formatter(log_format: str) -> logging.Formatter:
    """Return the formatter of all log lines, also of those that granian writes."""
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
    """Configure structlog and the standard library's logging to write lines of the same form to stderr."""
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
                # Audit lines (logins and changes) are written at every level.
                "collector.audit": {"level": "INFO"},
                # httpx logs full URLs, and the URL of the webhook contains an attempt token.
                "httpx": {"level": "WARNING"},
                "httpcore": {"level": "WARNING"},
                "pymongo": {"level": "WARNING"},
                # django-q2 logs each enqueued and processed task; our own lines are more precise.
                "django-q": {"level": "WARNING"},
                # Django logs every 4xx response, which the access line reports already.
                "django.request": {"level": "ERROR"},
                # Scanners send wrong hosts and too much data; Django would log a traceback for each.
                **{f"django.security.{name}": {"level": "CRITICAL"} for name in _REFUSED_BY_DJANGO},
            },
        }
    )
