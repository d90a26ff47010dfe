"""Log lines: one per event, findable by request id, and without credentials."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import structlog
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st
from rest_framework.test import APIClient

from apps.core.web.access_log import (
    AccessRecord,
    RepeatedLine,
    RepeatedRecord,
    fields_of,
    timestamp_of,
)
from config.logs import LineHandler, line_formatter, scrub_text
from tests.integration.waiting import at_once
from tests.programs import run_python

ADDRESS = "mongodb://root:s3cret@db/"
Log = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def logger() -> Any:
    return structlog.get_logger("tests.logs")


# --- Credentials ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("mongodb://root:s3cret@db:27017/?x", "mongodb://***@db:27017/?x"),
        ("redis://:s3cret@cache:6379/0", "redis://***@cache:6379/0"),
        ("at https://user:s3cret@host/path failed", "at https://***@host/path failed"),
        ("Authorization: Bearer eyJhbGciOi.J9.s3cret-_~+/=", "Authorization: Bearer ***"),
        ("bearer   s3cret", "bearer   ***"),
        ("GET /webhook?collection=1&token=s3cret HTTP/1.1", "GET /webhook?collection=1&token=*** HTTP/1.1"),
        ("WEBHOOK_SECRET=s3cret", "WEBHOOK_SECRET=***"),
        ("password=s3cret&next=/admin", "password=***&next=/admin"),
        ("COLLECT_SERVICE_API_KEY=s3cret", "COLLECT_SERVICE_API_KEY=***"),
        ("the token mlc_s3cret-0123456789 was used", "the token mlc_*** was used"),
        ("nothing to hide: 100% of a@b.example", "nothing to hide: 100% of a@b.example"),
        ("http://host:8000/path?timest=2025-06", "http://host:8000/path?timest=2025-06"),
    ],
)
def test_credentials_are_taken_out_of_texts(text: str, clean: str) -> None:
    assert scrub_text(text) == clean


@pytest.mark.parametrize(
    "values",
    [
        {"password": "s3cret"},
        {"api_key": "s3cret"},
        {"apikey": "s3cret"},
        {"Authorization": "s3cret"},
        {"attempt_token": "s3cret"},
        {"webhook_secret": b"s3cret"},
        {"x_signature_256": "s3cret"},
        {"cookies": {"sessionid": "s3cret"}},
        {"body": {"username": "ana", "password": "s3cret"}},
        {"bodies": [{"deep": ({"token": "s3cret"},)}]},
        {"url": "mongodb://root:s3cret@db/"},
        {"urls": ["mongodb://root:s3cret@db/"]},
        {"error": ConnectionError("cannot reach mongodb://root:s3cret@db/")},
        {"request": RequestFactory().get("/api/webhook/mengla-notify?token=s3cret")},
        {"headers": {"auth": "Bearer s3cret"}},
    ],
)
def test_credentials_are_taken_out_of_values(values: dict[str, Any], logger: Any, written_log: Log) -> None:
    logger.warning("something_happened", **values, harmless="kept")
    (line,) = written_log()
    assert "s3cret" not in json.dumps(line)
    assert (line["event"], line["harmless"]) == ("something_happened", "kept")


def test_credentials_are_taken_out_of_tracebacks(logger: Any, written_log: Log) -> None:
    for log in (logger.exception, logging.getLogger("other").exception):
        try:
            int(ADDRESS)
        except ValueError:
            log("it_failed")
    for line in written_log():
        assert "ValueError: invalid literal for int() with base 10: 'mongodb://***@db/'" in line["exception"]
        assert "s3cret" not in json.dumps(line)


def test_a_secret_that_is_not_there_is_not_hidden(logger: Any, written_log: Log) -> None:
    logger.info("token_checked", token=None, event_count=1)
    assert written_log()[0]["token"] is None


def test_the_event_keeps_its_name(logger: Any, written_log: Log) -> None:
    logger.info("token_created")
    assert written_log()[0]["event"] == "token_created"


# --- Lines ----------------------------------------------------------------------------------------


def test_a_line_has_what_finds_it(logger: Any, written_log: Log) -> None:
    logger.info("something_happened", count=3, name="萌啦", nothing=None)
    (line,) = written_log()
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "something_happened",
        "logger": "tests.logs",
        "level": "info",
        "count": 3,
        "name": "萌啦",
        "nothing": None,
    }


def test_other_libraries_write_the_same_lines(written_log: Log) -> None:
    logging.getLogger("some.library").warning("took %s s", 3, extra={"queue": "mengla"})
    (line,) = written_log()
    assert (line["event"], line["logger"], line["level"], line["queue"]) == (
        "took 3 s",
        "some.library",
        "warning",
        "mengla",
    )


@pytest.mark.parametrize(
    "value", ["line\nbreak", '"quoted"', "\x00\x1b[31m", "\u2028", {1: {2: 3}}, object(), {4}]
)
def test_no_value_breaks_a_line(value: Any, logger: Any, written_log: Log) -> None:
    logger.info("odd", value=value)
    assert len(written_log()) == 1


@pytest.mark.parametrize("path", ["/", "/api/auth/me", "/admin/login/"])
def test_a_request_for_another_host_is_one_line(api: APIClient, written_log: Log, path: str) -> None:
    assert api.get(path, HTTP_HOST="scanner.example.com").status_code == 400
    (line,) = [line for line in written_log() if line["logger"] != "collector.audit"]
    assert (line["logger"], line["event"], line["status"]) == ("collector.access", "request", 400)


@pytest.mark.parametrize("name", ["httpx", "httpcore", "pymongo", "django-q"])
def test_talkative_libraries_are_silent_below_warnings(name: str, written_log: Log) -> None:
    logging.getLogger(name).info("POST http://service/?token=x")
    logging.getLogger(name).warning("something is wrong")
    assert [line["event"] for line in written_log()] == ["something is wrong"]


def test_every_line_of_a_request_has_its_id(api: APIClient, written_log: Log, monkeypatch: Any) -> None:
    def two_lines(*_args: Any, **_kwargs: Any) -> Any:
        structlog.get_logger("tests.logs").info("ours")
        logging.getLogger("theirs").warning("theirs")
        return {}

    monkeypatch.setattr("apps.core.web.views.check_dependencies", two_lines)
    api.get("/ready", HTTP_X_REQUEST_ID="find-me")
    structlog.get_logger("tests.logs").info("afterwards")
    lines = {line["event"]: line.get("request_id") for line in written_log()}
    assert lines == {"ours": "find-me", "theirs": "find-me", "afterwards": None}


# --- Requests -------------------------------------------------------------------------------------

TEXTS = (
    st.text(max_size=20)
    | st.from_regex(r"[A-Za-z0-9/._:-]{0,20}", fullmatch=True)
    | st.sampled_from(
        ["/a b", "http://u:p@h/", "/Bearer", "bearer x", "mlc_0123456789", "/eyJabcdefghi.abcdefghi.x"]
    )
    | st.sampled_from(
        ["", "token=", "ſecret=x", "/%(path)s", "it's", "\udc80", "/Шины", "::1", "\x1b[2J", "-"]
    )
)
VALUES = TEXTS | st.integers() | st.floats(allow_nan=False) | st.none() | st.booleans()
KEYS = st.sampled_from(["tier", "freshness", "collection_id", "attempt_token", "Odd key", "größe"])


@pytest.mark.parametrize("log_format", ["json", "console"])
@given(
    st.fixed_dictionaries({"method": TEXTS, "path": TEXTS, "address": TEXTS}), st.dictionaries(KEYS, VALUES)
)
def test_an_access_line_is_the_one_of_the_whole_way(
    log_format: str, texts: dict[str, str], facts: dict[str, Any]
) -> None:
    fields = {**texts, "status": 200, "milliseconds": 1.5, **facts, "event": "request"}
    record = AccessRecord(logging.INFO, fields)
    formatter = line_formatter(log_format)
    assert formatter.format(record) == structlog.stdlib.ProcessorFormatter.format(formatter, record)


@pytest.mark.parametrize("log_format", ["json", "console"])
@given(
    st.fixed_dictionaries({"method": TEXTS, "path": TEXTS, "address": TEXTS}), st.dictionaries(KEYS, VALUES)
)
def test_a_repeated_access_line_is_the_same_as_a_single_one(
    log_format: str, texts: dict[str, str], facts: dict[str, Any]
) -> None:
    facts = {**texts, "status": 200, **facts}
    formatter, repeated = line_formatter(log_format), RepeatedLine(**facts)
    for seconds, request_id in ((0.0015, "0" * 32), (12.0, "f" * 32)):
        record = RepeatedRecord(repeated, request_id, seconds)
        single = AccessRecord(logging.INFO, fields_of(**facts, seconds=seconds, request_id=request_id))
        single.msg["timestamp"] = timestamp_of(record.created)
        assert formatter.format(record) == formatter.format(single)


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_usual_access_line_takes_the_short_way(log_format: str, monkeypatch: Any) -> None:
    monkeypatch.setattr(structlog.stdlib.ProcessorFormatter, "format", None)
    fields = {
        "path": "/api/mengla/",
        "status": 200,
        "address": "::1",
        "milliseconds": 1.5,
        "event": "request",
    }
    assert "/api/mengla/" in line_formatter(log_format).format(AccessRecord(logging.INFO, fields))


class Written(io.StringIO):
    """What was written, each write apart."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[str] = []

    def write(self, text: str) -> int:
        self.writes.append(text)
        return len(text)


@pytest.fixture
def handler() -> LineHandler:
    handler = LineHandler()
    handler.setStream(Written())
    handler.setFormatter(line_formatter("json"))
    return handler


def log_requests(handler: LineHandler, *, count: int, path: str = "/api/mengla") -> None:
    for number in range(count):
        handler.handle(
            AccessRecord(logging.INFO, {"path": path, "event": "request", "request_id": str(number)})
        )


def test_lines_of_requests_wait_and_keep_their_order(handler: LineHandler) -> None:
    log_requests(handler, count=2)
    assert handler.stream.writes == []
    handler.handle(logging.LogRecord("tests", logging.INFO, "", 0, "another", (), None))
    log_requests(handler, count=1)
    (text,) = handler.stream.writes  # the line in the middle was written at once, with those before it
    assert [json.loads(line)["event"] for line in text.splitlines()] == ["request", "request", "another"]
    handler.flush()
    assert len(handler.stream.writes) == 2


def test_repeated_lines_wait_unformatted_and_keep_their_order(handler: LineHandler) -> None:
    repeated = RepeatedLine(method="GET", path="/api/mengla", status=200, address="::1")
    log_requests(handler, count=1)
    for number in range(2):
        handler.defer(RepeatedRecord(repeated, f"{number:032x}", 0.001))
    assert (handler.stream.writes, repeated.templates) == ([], {})
    handler.handle(logging.LogRecord("tests", logging.WARNING, "", 0, "another", (), None))
    (text,) = handler.stream.writes
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line.get("request_id", line["event"]) for line in lines] == [
        "0",
        "0" * 32,
        "0" * 31 + "1",
        "another",
    ]


@pytest.mark.slow
def test_repeated_lines_of_many_threads_are_all_written(handler: LineHandler) -> None:
    repeated = RepeatedLine(method="GET", path="/api/mengla", status=200, address="::1")

    def write(thread: int) -> None:
        for number in range(500):
            handler.defer(RepeatedRecord(repeated, f"{thread:016x}{number:016x}", 0.001))

    at_once([partial(write, thread) for thread in range(8)])
    handler.flush()
    ids = [json.loads(line)["request_id"] for line in "".join(handler.stream.writes).splitlines()]
    assert len(ids) == len(set(ids)) == 8 * 500


def test_many_lines_do_not_wait_and_no_write_ends_within_a_line(handler: LineHandler) -> None:
    log_requests(handler, count=5300, path="/Шины" * 10)
    writes = handler.stream.writes
    assert 5000 <= sum(text.count("\n") for text in writes) < 5300
    assert all(text.endswith("\n") and len(text.encode()) <= 4096 for text in writes)
    assert len(writes) < 800
    handler.flush()
    ids = [json.loads(line)["request_id"] for line in "".join(writes).splitlines()]
    assert ids == [str(number) for number in range(5300)]


@pytest.mark.slow
def test_lines_in_the_buffer_are_written_while_a_process_idles_and_at_its_end() -> None:
    program = (
        "import os, sys, time\n"
        "from config.logs import configure_logging\n"
        "from apps.core.web.access_log import write_line\n"
        "configure_logging(level='INFO', log_format='json')\n"
        "def log(path):\n"
        "    write_line(method='GET', path=path, status=200, address='', seconds=1, request_id='1')\n"
        "own, (read, write) = os.dup(2), os.pipe()\n"
        "os.dup2(write, 2)\n"
        "log('/health')\n"  # a probe, so of level DEBUG
        "log('/first')\n"
        "assert b'/first' in os.read(read, 4096)\n"  # returns when the line is written
        "os.dup2(own, 2)\n"
        "log('/second')\n"
        "if os.fork() == 0:\n"
        "    log('/child')\n"
        "    sys.exit()\n"
        "os.wait()\n"
    )
    result = run_python("-W", "ignore::DeprecationWarning", "-c", program)  # it forks beside a thread
    assert (result.returncode, result.stdout) == (0, "")
    assert sorted(json.loads(line)["path"] for line in result.stderr.splitlines()) == ["/child", "/second"]


# --- Forms ----------------------------------------------------------------------------------------


def run_with(level: str, log_format: str) -> str:
    """Configure a new process and return what it writes to stderr."""
    program = (
        "import logging, structlog\n"
        "from config.logs import configure_logging\n"
        f"configure_logging(level={level!r}, log_format={log_format!r})\n"
        "log = structlog.get_logger('tests')\n"
        "log.debug('debugging')\n"
        "log.info('informing', password='s3cret', count=1)\n"
        "logging.getLogger('other').warning('mongodb://root:s3cret@db/')\n"
        "try:\n    1 / 0\nexcept ZeroDivisionError:\n    log.exception('failing')\n"
    )
    result = run_python("-c", program)
    assert (result.returncode, result.stdout) == (0, ""), result.stderr
    assert "s3cret" not in result.stderr
    return result.stderr


@pytest.mark.slow
def test_json_is_one_object_per_line() -> None:
    lines = [json.loads(line) for line in run_with("INFO", "json").splitlines()]
    assert [line["event"] for line in lines] == ["informing", "mongodb://***@db/", "failing"]
    assert "ZeroDivisionError" in lines[2]["exception"]


@pytest.mark.slow
def test_console_is_for_people() -> None:
    text = run_with("DEBUG", "console")
    assert "debugging" in text
    assert "count=1" in text
    assert "password=***" in text
    assert "ZeroDivisionError" in text
    assert "\x1b[" not in text


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/\x1b[2J\x1b]0;title\x07", "/\\x1b[2J\\x1b]0;title\\x07"),
        ("/nul\x00byte", "/nul\\x00byte"),
        ("/a\r\n2025-01-01 forged", "/a\\r\\n2025-01-01 forged"),
        ("/\u2028\u202eturned\x9b31m", "/\\u2028\\u202eturned\\x9b31m"),
        ("/Шины/萌啦", "/Шины/萌啦"),
    ],
)
def test_a_console_line_obeys_no_client(path: str, shown: str) -> None:
    formatter = line_formatter("console")
    for arguments in ((path,), ("%s", path), ("%s", {path: [path]})):
        record = logging.LogRecord("tests", logging.INFO, "", 0, arguments[0], arguments[1:], None)
        line = formatter.format(record)
        assert shown in line
        assert line.isprintable()


def test_the_lines_of_a_traceback_on_the_console_stay_lines() -> None:
    error = ValueError("\x1b[2J")
    try:
        raise error
    except ValueError:
        record = logging.LogRecord("tests", logging.ERROR, "", 0, "failed", (), sys.exc_info())
    lines = line_formatter("console").format(record).split("\n")
    assert lines[-1] == "ValueError: \\x1b[2J"
    assert len(lines) > 3
    assert all(line.isprintable() for line in lines)


@pytest.mark.slow
def test_the_level_holds_for_all() -> None:
    assert [json.loads(line)["event"] for line in run_with("ERROR", "json").splitlines()] == ["failing"]
