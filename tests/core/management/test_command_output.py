"""What every command prints: errors as JSON, colours, questions, log lines on a terminal."""

from __future__ import annotations

import errno
import io
import json
import logging
import os
import shlex
import sys
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, get_commands

from apps.core.errors import Conflict
from apps.core.management.base import CollectorCommand, ExitCode, TranslatedCommand
from apps.core.management.colours import Tone, Toned, coloured, for_stream
from apps.core.management.tables import format_table
from apps.core.management.utility import Utility
from config.logs import line_formatter

GOOD_LINE = coloured("ok", Tone.GOOD)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Working(CollectorCommand):
    """Has a subcommand, an option with a type, and a question."""

    needs_mongo = False
    examples = ("working go --count 2", "working stop")

    def add_arguments(self, parser: Any) -> None:
        kinds = parser.add_subparsers(dest="kind", required=True, metavar="go|stop|fail")
        for name in ("go", "stop", "fail"):
            one = kinds.add_parser(name, allow_abbrev=False)
            one.add_argument("--count", type=int, default=1)
            super().add_arguments(one)
            self.add_confirmation(one)

    def run(self, **options: Any) -> Any:
        if options["kind"] == "fail":
            raise CommandError("It cannot be done.", returncode=2)
        if options["kind"] == "stop":
            self.confirm("Stop everything?", options)
        logging.getLogger("collector.audit").info("worked")
        return {"count": options["count"]}, f"Worked: {GOOD_LINE}.", ExitCode.DONE


def run(*arguments: str, out: io.StringIO | None = None, err: io.StringIO | None = None) -> Any:
    """Run the command as the command line does; returns exit code, stdout and stderr."""
    out, err, code = out or io.StringIO(), err or io.StringIO(), 0
    with redirect_stdout(out), redirect_stderr(err):
        try:
            Working().run_from_argv(["manage.py", "working", *arguments])
        except SystemExit as ended:
            code = int(ended.code or 0)
    return code, out.getvalue(), err.getvalue()


# --- Errors with --json -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ("--json",),
        ("go", "--json", "--count"),
        ("go", "--count", "many", "--json"),
        ("--json", "wander"),
        ("go", "--nonsense", "--json"),
        ("go", "--json=1"),
        ("go", "--count=1", "--count=2", "--json"),
        ("fail", "--json"),
    ],
)
def test_every_wrong_argument_is_told_as_json(arguments: tuple[str, ...]) -> None:
    code, out, err = run(*arguments)
    assert (code, err, out.count("\n")) == (2, "", 1)
    reported = json.loads(out)
    assert set(reported) == {"error", "message", "detail", "fields"}
    assert reported["error"] == "VALIDATION_ERROR"
    assert reported["message"]


def test_without_json_a_wrong_argument_is_told_to_people() -> None:
    code, out, err = run("go", "--count", "many")
    assert (code, out) == (2, "")
    assert "many" in err


@pytest.mark.parametrize("is_json", [False, True])
@pytest.mark.parametrize("arguments", [["nonsense"], ["colect"], ["migrate", "--nonsense"]])
def test_an_unknown_command_is_a_wrong_argument(
    arguments: list[str], is_json: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        Utility(["manage.py", *arguments, *(["--json"] if is_json else [])]).execute()
    reported = capsys.readouterr()
    assert ended.value.code == 2
    assert arguments[-1] in (json.loads(reported.out)["message"] if is_json else reported.err)
    assert (reported.err if is_json else reported.out) == ""


def test_the_guess_for_an_unknown_command_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        Utility(["manage.py", "schedulr"]).execute()
    assert capsys.readouterr().err.startswith("Unknown command: 'schedulr'. Did you mean scheduler? Type ")


def test_a_command_of_the_utility_has_the_streams_of_the_process(capsys: pytest.CaptureFixture[str]) -> None:
    command = Utility(["manage.py", "sync_tasks"]).fetch_command("sync_tasks")
    command.stderr.write("told")
    assert capsys.readouterr().err == "told\n"


def test_every_command_of_ours_has_examples_that_its_parser_accepts() -> None:
    names = [name for name, app in get_commands().items() if str(app).startswith("apps.")]
    commands = {name: Utility(["manage.py", name]).fetch_command(name) for name in names}
    ours = {name: one for name, one in commands.items() if isinstance(one, TranslatedCommand)}
    assert len(ours) > 20
    for name, command in ours.items():
        assert command.examples, name
        for example in command.examples:
            shown, *arguments = shlex.split(example.partition(" < ")[0])
            assert shown == name
            command.create_parser("manage.py", name).parse_args(arguments)


def test_the_help_ends_with_examples() -> None:
    code, out, _ = run("--help")
    assert code == 0
    assert out.endswith("  python manage.py working go --count 2\n  python manage.py working stop\n")


@pytest.mark.parametrize("arguments", [("go",), ("go", "--json")])
@pytest.mark.parametrize("reason", [errno.ENOSPC, errno.EPIPE, None])
def test_a_result_that_cannot_be_written_is_told_in_one_line(
    arguments: tuple[str, ...], reason: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(io.StringIO):
        def flush(self) -> None:
            raise OSError(reason, os.strerror(reason or 0))

    taken_back: list[Any] = []
    monkeypatch.setattr(Working, "take_back", lambda _self, result: taken_back.append(result) or "")
    err = io.StringIO()
    monkeypatch.setattr(sys, "stdout", Full() if reason else None)  # None: closed by the caller
    code = 0
    with redirect_stderr(err):
        try:
            Working().run_from_argv(["manage.py", "working", *arguments])
        except SystemExit as ended:
            code = int(ended.code or 0)
    assert taken_back == [{"count": 1}]
    if reason == errno.EPIPE:  # the reader, such as `head`, has seen enough
        assert (code, err.getvalue()) == (0, "")
    else:
        told = os.strerror(reason or errno.EBADF)
        assert (code, err.getvalue()) == (1, f"The result could not be written ({told}).\n")


# --- Questions --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "arguments", "code"),
    [("yes\n", (), 0), ("no\n", (), 1), ("", (), 1), ("", ("--yes",), 0), ("", ("--json",), 1)],
)
def test_a_change_needs_a_yes(
    reply: str, arguments: tuple[str, ...], code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(reply))
    got, out, err = run("stop", *arguments)
    assert got == code
    assert ("Stop everything?" in err) is ("--yes" not in arguments)
    assert (json.loads(out)["error"] == "CONFLICT") if "--json" in arguments else (bool(out) is not code)


# --- Colours ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("is_terminal", "environment", "options", "has_colours"),
    [
        (True, {}, (), True),
        (False, {}, (), False),
        (True, {"NO_COLOR": "1"}, (), False),
        (True, {"TERM": "dumb"}, (), False),
        (False, {"FORCE_COLOR": "1"}, (), True),
        (True, {}, ("--no-color",), False),
        (False, {"NO_COLOR": "1"}, ("--force-color",), True),
    ],
)
def test_colours_are_for_terminals_that_want_them(
    is_terminal: bool,
    environment: dict[str, str],
    options: tuple[str, ...],
    has_colours: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in ({"TERM": "xterm-256color"} | environment).items():
        monkeypatch.setenv(name, value)
    out = Terminal() if is_terminal else io.StringIO()
    assert run("go", *options, out=out)[1] == f"Worked: {GOOD_LINE if has_colours else 'ok'}.\n"
    assert "\x1b" not in run("go", "--json", *options)[1]


def test_coloured_cells_are_aligned_as_others_are() -> None:
    table = format_table(
        ["state", "name"], [(Toned("失败", Tone.BAD), "萌啦"), (Toned("ok\x1b[0m", Tone.GOOD), "b")]
    )
    assert for_stream(table, io.StringIO(), {}).splitlines() == [
        "state      name",
        "失败       萌啦",
        "ok\\x1b[0m  b",
    ]
    assert "\x1b[31m失败\x1b[0m  " in table


def test_an_error_is_red_on_a_terminal_and_a_question_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    question, error = run("stop", err=Terminal())[2].split("\n")[:2]
    assert question == "Stop everything?"
    assert error.endswith(
        coloured(str(Conflict("Nothing was changed. Add --yes to run it without this question.")), Tone.BAD)
    )


# --- Log lines --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("is_terminal", "options", "is_logged"),
    [(True, (), False), (True, ("--verbosity", "2"), True), (False, (), True)],
)
def test_a_terminal_shows_the_result_and_not_the_log_of_it(
    is_terminal: bool, options: tuple[str, ...], is_logged: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = logging.StreamHandler(io.StringIO())
    monkeypatch.setattr(logging.getLogger(), "handlers", [handler])
    logging.getLogger("collector.audit").setLevel(logging.INFO)
    run("go", *options, err=Terminal() if is_terminal else io.StringIO())
    assert handler.stream.getvalue() == ("worked\n" if is_logged else "")
    assert handler.level == logging.NOTSET


def test_lines_for_people_have_the_time_of_the_market_and_json_has_utc() -> None:
    record = logging.LogRecord(
        "tests", logging.INFO, "", 0, {"event": "x", "timestamp": "2025-06-01T20:00:00.25Z"}, (), None
    )
    record._logger, record._name = None, "info"  # type: ignore[attr-defined]
    assert line_formatter("console").format(record).startswith("2025-06-02 04:00:00.250 ")
    assert json.loads(line_formatter("json").format(record))["timestamp"] == "2025-06-01T20:00:00.25Z"


def test_the_version_is_that_of_the_product(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("--version", "version"):
        Utility(["manage.py", name]).execute()
        assert capsys.readouterr().out == f"{settings.VERSION}\n"
