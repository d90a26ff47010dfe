"""Structured logs: one line per event, JSON in production, with secrets removed before they are written.

The lines of requests wait in a buffer for at most :data:`FLUSH_SECONDS`, so that many of them are one write.
All other lines are written at once, after those that were logged before them.
"""

from __future__ import annotations

import logging
import logging.config
import os
import re
import stat
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from apps.core.storage.periodic_flush import PeriodicFlush
from apps.core.unwanted import unwanted
from apps.core.web.access_log import (
    AccessRecord,
    RecordBuffer,
    RepeatedLine,
    RepeatedRecord,
    fields_of,
    timestamp_of,
)

# structlog would use these packages to render tracebacks; ours are rendered as plain text.
with unwanted("rich", "better_exceptions"):
    import structlog

_SECRET_KEYS = re.compile(r"password|secret|token|authorization|api_?key|cookie|signature", re.IGNORECASE)
# Credentials in URLs (mongodb://user:pass@host), bearer headers and our own tokens in free text. Each pattern
# matches only text that contains the word before it in lower case; looking for that is much faster.
_SECRET_TEXT = (
    ("://", re.compile(r"(?<=://)[^/@\s]+(?=@)"), "***"),
    ("bearer", re.compile(r"(?i)(bearer\s+)[A-Za-z0-9._~+/=-]+"), r"\1***"),
    ("=", re.compile(r"(?i)((?:token|secret|password|api_?key)=)[^&\s'\"]+"), r"\1***"),
    ("mlc_", re.compile(r"mlc_[A-Za-z0-9_-]{8,}"), "mlc_***"),
    ("eyj", re.compile(r"eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]+"), "eyJ***"),  # a login token
)
# Control characters, line breaks, and characters that change the direction of text.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_REFUSED_BY_DJANGO = (
    "DisallowedHost",
    "DisallowedRedirect",
    "RequestDataTooBig",
    "TooManyFieldsSent",
    "TooManyFilesSent",
)
_TRACEBACKS = frozenset({"exception", "stack"})


def scrub_text(text: str) -> str:
    """Replace anything in the text that looks like a credential."""
    lower = text.lower()
    for word, pattern, replacement in _SECRET_TEXT:
        if word in lower:
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


def scrub_values(value: Any) -> Any:
    """Return a value, such as a dictionary of dictionaries, without anything that looks like a credential."""
    return _scrubbed(value)


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


_MARKET_ZONE = ZoneInfo("Asia/Shanghai")  # the settings cannot be read here, because they configure the logs


def _shown_timestamp(timestamp: str, log_format: str) -> str:
    """Return an instant as lines show it.

    JSON has it in UTC, as it is noted. Lines for people have it in the market's time zone, as the results of
    commands and the pages, with milliseconds.
    """
    if log_format == "json":
        return timestamp
    moment = datetime.fromisoformat(timestamp).astimezone(_MARKET_ZONE)
    return f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03d}"


def _localize(_logger: Any, _method: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    return {**event, "timestamp": _shown_timestamp(event["timestamp"], "console")}


# Applied to every event, of structlog and of the standard library's logging.
_SHARED: list[structlog.types.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.stdlib.ExtraAdder(),
    structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


# Values that no path, address or other field of a request has.
_SAMPLE_SECONDS = 98_765_432.123
_SAMPLE_ID = "a" * 30 + "01"


class LineFormatter(structlog.stdlib.ProcessorFormatter):
    """The formatter of all log lines; the usual access line takes a shorter way to the same text."""

    def __init__(self, log_format: str) -> None:
        self._log_format = log_format
        rendering: list[structlog.types.Processor] = (
            [structlog.processors.JSONRenderer(ensure_ascii=False)]
            if log_format == "json"
            else [_localize, _escape_values, structlog.dev.ConsoleRenderer(colors=False), _escape_line]
        )
        super().__init__(
            foreign_pre_chain=_SHARED,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                _scrub,
                *rendering,
                _scrub_line,
            ],
        )

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of the record, without secrets and control characters."""
        if isinstance(record, RepeatedRecord):
            return self._filled(record)
        line = _plain_line(record.msg, self._log_format) if isinstance(record, AccessRecord) else None
        return super().format(record) if line is None else line

    def _filled(self, record: RepeatedRecord) -> str:
        template = record.line.templates.get(self._log_format)
        if template is None:
            template = record.line.templates[self._log_format] = self._template_of(record.line)
        return template % {
            "milliseconds": record.milliseconds,
            "request_id": record.request_id,
            "timestamp": _shown_timestamp(timestamp_of(record.created), self._log_format),
        }

    def _template_of(self, repeated: RepeatedLine) -> str:
        """Return the line, made as any other, with placeholders for what differs."""
        fields = fields_of(**repeated.facts, seconds=_SAMPLE_SECONDS, request_id=_SAMPLE_ID)
        sample = AccessRecord(logging.INFO, fields)
        line = self.format(sample).replace("%", "%%")
        shown = sample.msg | {"timestamp": _shown_timestamp(sample.msg["timestamp"], self._log_format)}
        for name in ("timestamp", "milliseconds", "request_id"):
            line = line.replace(str(shown[name]), f"%({name})s")
        return line


def line_formatter(log_format: str) -> logging.Formatter:
    """Return the formatter of all log lines, also of those that granian writes."""
    return LineFormatter(log_format)


_PLAIN_TEXT = re.compile(r"[A-Za-z0-9/._:-]*")
_LEADING = ("timestamp", "level", "event", "logger")


def _plain_line(fields: dict[str, Any], log_format: str) -> str | None:
    """Return the line of fields in which nothing needs to be scrubbed, escaped or quoted; else None."""
    template = _plain_template(log_format, tuple(fields), tuple(map(type, fields.values())))
    # One look at all texts together: what is plain in them is also plain in each of them.
    text = "".join([value for value in fields.values() if type(value) is str])
    if template is None or _PLAIN_TEXT.fullmatch(text) is None:
        return None
    lower = text.lower()
    for word, _, _ in _SECRET_TEXT:
        if word in lower:
            return None
    return template % (fields | {"timestamp": _shown_timestamp(fields["timestamp"], log_format)})


@lru_cache(maxsize=256)
def _plain_template(log_format: str, keys: tuple[str, ...], types: tuple[type, ...]) -> str | None:
    """Return the format of lines with these fields; None if a name or a type needs the whole way."""
    if any(_SECRET_KEYS.search(key) or not re.fullmatch("[a-z_]+", key) for key in keys):
        return None
    # Other numbers could be infinite, which has a name of its own in JSON.
    allowed = {*((key, str) for key in keys), *((key, int) for key in keys), ("milliseconds", float)}
    if not allowed.issuperset(zip(keys, types, strict=True)):
        return None
    if log_format == "json":
        quotes = ['"' if kind is str else "" for kind in types]
        pairs = [f'"{key}": {quote}%({key})s{quote}' for key, quote in zip(keys, quotes, strict=True)]
        return "{" + ", ".join(pairs) + "}"
    rest = " ".join(f"{key}=%({key})s" for key in sorted(keys) if key not in _LEADING)
    return f"%(timestamp)s [%(level)-9s] %(event)-30s [%(logger)s] {rest}"


FLUSH_SECONDS = 0.1
_MAX_BUFFERED_LINES = 5000  # then a request writes them itself, because the thread does not keep up
_MAX_PIPE_BYTES = 4096
_MAX_FILE_BYTES = 65_536


class LineHandler(logging.StreamHandler[Any], RecordBuffer):
    """Writes lines to stderr; see the module for the buffer. The reporters get each record of level ERROR."""

    reporters: ClassVar[tuple[Callable[[logging.LogRecord], None], ...]] = ()

    def __init__(self) -> None:
        super().__init__()
        # Threads append without a lock. A repeated line becomes text only when it is written.
        self._lines: deque[str | RepeatedRecord] = deque()
        self._timer = PeriodicFlush("lines", self.flush, seconds=FLUSH_SECONDS, forget=self._lines.clear)

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line of the record, or put it into the buffer."""
        try:
            self._append(f"{self.format(record)}\n", can_wait=isinstance(record, AccessRecord))
            if record.levelno >= logging.ERROR:
                for report in self.reporters:
                    report(record)
        except Exception:  # noqa: BLE001 - as the handlers of logging do: a line must not fail a request
            self.handleError(record)

    def defer(self, record: RepeatedRecord) -> None:
        """Put the record into the buffer."""
        self._append(record, can_wait=True)

    def flush(self) -> None:
        """Write all lines in the buffer."""
        self.acquire()
        try:
            for text in _packed(self._taken(), max_bytes=self._max_write_bytes()):
                self.stream.write(text)
            super().flush()
        finally:
            self.release()

    def _append(self, line: str | RepeatedRecord, *, can_wait: bool) -> None:
        self._lines.append(line)
        if can_wait and len(self._lines) < _MAX_BUFFERED_LINES:
            self._timer.start()
        else:
            self.flush()

    def _max_write_bytes(self) -> int:
        """Return how much one write may have so that lines of other processes do not get into it."""
        try:
            is_file = stat.S_ISREG(os.fstat(self.stream.fileno()).st_mode)
        except (OSError, ValueError):  # a stream without a file
            is_file = False
        return _MAX_FILE_BYTES if is_file else _MAX_PIPE_BYTES

    def _taken(self) -> Iterator[str]:
        for _ in range(len(self._lines)):
            line = self._lines.popleft()
            yield line if isinstance(line, str) else f"{self.format(line)}\n"


def _packed(lines: Iterable[str], *, max_bytes: int) -> Iterator[str]:
    """Yield the lines in order, as many at once as one write takes."""
    text: list[str] = []
    size = 0
    for line in lines:
        length = len(line.encode("utf-8", "backslashreplace"))
        if size + length > max_bytes and text:
            yield "".join(text)
            text, size = [], 0
        text.append(line)
        size += length
    if text:
        yield "".join(text)


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
            "handlers": {"stderr": {"class": "config.logs.LineHandler", "formatter": "structured"}},
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
