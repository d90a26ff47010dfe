from __future__ import annotations

import argparse
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.core.management.base import OutputWrapper
from django.db.utils import DatabaseError
from pymongo.errors import AutoReconnect
from redis import ConnectionError as RedisDown

from apps.core.errors import Conflict, DomainError, InvalidInput
from apps.core.management.arguments import argument, one_of, whole_number
from apps.core.management.base import CollectorCommand, ExitCode, Stopped
from apps.core.management.progress import open_display
from apps.core.management.tables import format_table, printable
from apps.core.periods import parse_granularity
from apps.core.storage import mongo
from tests.programs import ROOT, run_python


class Doing(CollectorCommand):
    """Does what the test wants."""

    needs_mongo = False
    can_dry_run = True
    argument_errors = (InvalidInput,)

    def __init__(self, work: Callable[..., Any] = lambda **_options: None) -> None:
        super().__init__()
        self.work = work

    def run(self, **options: Any) -> Any:
        return self.work(**options) or ({"count": 1, "name": "Шины"}, "One tyre.", ExitCode.DONE)


def run(work: Callable[..., Any], *arguments: str) -> tuple[int, str, str]:
    """Run a command that does this; returns exit code, stdout and stderr."""
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command(Doing(work), *arguments, stdout=out, stderr=err)
    except SystemExit as ended:
        return int(ended.code or 0), out.getvalue(), err.getvalue()
    return 0, out.getvalue(), err.getvalue()


def raise_(error: BaseException) -> Callable[..., Any]:
    def work(**_options: Any) -> Any:
        raise error

    return work


# --- What is printed, and how it ends --------------------------------------------------------------


def test_the_result_for_people_and_for_machines() -> None:
    assert run(lambda **_: None) == (0, "One tyre.\n", "")
    code, out, err = run(lambda **_: None, "--json")
    assert (code, json.loads(out), err) == (0, {"count": 1, "name": "Шины"}, "")
    assert out.count("\n") == 1


@pytest.mark.parametrize("code", list(ExitCode))
def test_every_exit_code_prints_the_result(code: ExitCode) -> None:
    assert run(lambda **_: ({}, "said", code)) == (int(code), "said\n", "")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Conflict("It runs."), 1),
        (DomainError("It failed."), 1),
        (InvalidInput("No such thing."), 2),
        (AutoReconnect("secret-host"), 1),
        (DatabaseError("secret-host"), 1),
        (RedisDown("secret-host"), 1),
    ],
)
def test_a_known_failure_is_a_message(error: Exception, code: int) -> None:
    got, out, err = run(raise_(error))
    assert (got, out) == (code, "")
    assert err.count("\n") == 1
    assert "secret-host" not in err
    got, out, err = run(raise_(error), "--json")
    assert (got, err) == (code, "")
    assert json.loads(out)["message"]


def test_the_fields_of_an_error_are_told_once() -> None:
    error = InvalidInput("Bad.", detail="more", fields={"to": ["Bad.", "Too far."]})
    assert run(raise_(error))[2] == "Bad.\n  to: Too far.\n"
    assert json.loads(run(raise_(error), "--json")[1]) == {
        "error": "VALIDATION_ERROR",
        "message": "Bad.",
        "detail": "more",
        "fields": {"to": ["Bad.", "Too far."]},
    }


def test_json_of_text_that_is_no_unicode() -> None:
    out = run(lambda **_: ({"name": "\udcff", "huge": 10**30}, "", ExitCode.DONE), "--json")[1]
    assert json.loads(out) == {"name": "\udcff", "huge": 10**30}


def test_an_unknown_error_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        run(raise_(ZeroDivisionError()))


def test_common_options_reach_the_command() -> None:
    seen: dict[str, Any] = {}
    run(lambda **options: seen.update(options), "--json", "--no-progress", "--dry-run")
    assert (seen["is_json"], seen["no_progress"], seen["dry_run"]) == (True, True, True)


@pytest.mark.parametrize("option", ["--nonsense", "--force", "--js", "--dry"])
def test_an_option_is_taken_only_as_it_is_spelled(option: str) -> None:
    """Django's ``--force-color`` must not stand in for a ``--force`` that the command does not have."""
    with pytest.raises(CommandError):
        call_command(Doing(), option)


# --- MongoDB ---------------------------------------------------------------------------------------


def test_a_database_that_is_down_is_noticed_before_anything_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mongo, "ping", raise_(AutoReconnect()))
    monkeypatch.setattr(Doing, "needs_mongo", True)
    done: list[Any] = []
    code, _out, err = run(lambda **_: done.append(1))
    assert (code, done) == (1, [])
    assert err == "MongoDB does not respond (AutoReconnect).\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        ["sync_schedules"],
        ["migrate"],
        ["qcluster"],
        ["createsuperuser", "--noinput", "--username", "x", "--email", "x@example.com"],
        ["showmigrations"],
    ],
    ids=lambda command: command[0],
)
def test_no_command_waits_for_a_database_that_is_down(command: list[str]) -> None:
    started = time.monotonic()
    ended = run_in_a_child(command, MONGO_URI="mongodb://user:secret-word@127.0.0.1:1/")
    seconds = time.monotonic() - started
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.count("\n") == 1
    assert "does not respond" in ended.stderr
    assert "secret-word" not in ended.stderr
    assert seconds < 20


@pytest.mark.slow
@pytest.mark.mongo
def test_the_worker_says_in_one_line_that_redis_is_down() -> None:
    ended = run_in_a_child(["qcluster"], REDIS_URI="redis://:secret-word@127.0.0.1:1/0")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == "CommandError: Redis does not respond (ConnectionError).\n"


@pytest.mark.slow
def test_a_traceback_is_shown_on_request() -> None:
    ended = run_in_a_child(
        ["showmigrations", "--traceback"], MONGO_URI="mongodb://user:secret-word@127.0.0.1:1/"
    )
    assert ended.returncode == 1
    assert "Traceback" in ended.stderr


def run_in_a_child(command: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command of manage.py to its end."""
    return run_python("manage.py", *command, env=os.environ | environment)


# --- Signals ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_stops_the_work_and_is_told(name: str) -> None:
    cleaned: list[bool] = []

    def work(**_options: Any) -> None:
        try:
            os.kill(os.getpid(), signal.Signals[name])
            time.sleep(30)
        finally:
            cleaned.append(True)

    assert run(work) == (1, "", f"Stopped by {name}.\n")
    assert cleaned == [True]
    assert json.loads(run(work, "--json")[1])["message"] == f"Stopped by {name}."


def test_the_handlers_of_before_are_there_again() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    run(lambda **_: None)
    run(raise_(Conflict("x")))
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_second_signal_does_not_disturb_the_clean_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.core.management.stopping._REPEATED_SIGNAL_SECONDS", 60)
    steps: list[str] = []

    def work(**_options: Any) -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(30)
        except Stopped:
            os.kill(os.getpid(), signal.SIGINT)
            steps.append("cleaned")
            raise

    assert run(work)[0] == 1
    assert steps == ["cleaned"]


def test_a_deferred_block_is_finished_first() -> None:
    steps: list[str] = []

    class Careful(Doing):
        def run(self, **_options: Any) -> Any:
            with self.signals.deferred():
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(0.01)
                steps.append("finished")
            steps.append("went on")

    err = io.StringIO()
    with pytest.raises(SystemExit):
        call_command(Careful(), stderr=err)
    assert steps == ["finished"]
    assert err.getvalue() == "Stopped by SIGTERM.\n"


def test_an_impatient_second_signal_ends_the_process() -> None:
    program = """
import os, signal, sys, time
from apps.core.management.stopping import Stopped, stop_signals
try:
    with stop_signals():
        try:
            print("ready", flush=True)
            time.sleep(60)
        except Stopped:
            print("stopping", flush=True)
            time.sleep(60)
except BaseException as error:
    print(repr(error), flush=True)
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        child.terminate()
        assert child.stdout.readline() == "stopping\n"
        time.sleep(1.1)  # what makes the second signal an impatient one
        child.terminate()
        assert child.wait(10) == -signal.SIGTERM
        assert child.stdout.read() == ""


def test_a_command_may_run_in_any_thread() -> None:
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(run(lambda **_: None)))
    thread.start()
    thread.join()
    assert results == [(0, "One tyre.\n", "")]


# --- Pipes and terminals ---------------------------------------------------------------------------


def _print_in_a_child(
    text: str, *, shell: str = "{}", **environment: str
) -> subprocess.CompletedProcess[bytes]:
    program = (
        "import sys; from apps.core.management.base import CollectorCommand, ExitCode\n"
        "class Command(CollectorCommand):\n"
        "    needs_mongo = False\n"
        f"    def run(self, **_): return {{}}, {text}, ExitCode.DONE\n"
        "import django; django.setup(); Command().run_from_argv(['manage.py', 'x'])\n"
    )
    settings = {"DJANGO_SETTINGS_MODULE": "config.settings", "PROGRAM": program, "PYTHON": sys.executable}
    command = shell.format('"$PYTHON" -c "$PROGRAM"')
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=ROOT,
        env=os.environ | settings | environment,
        capture_output=True,
        check=False,
        timeout=60,
    )


def test_a_reader_that_has_seen_enough_is_no_failure() -> None:
    ended = _print_in_a_child("'line\\n' * 100_000", shell="{} | head -1")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"line\n", b"")


def test_a_terminal_without_the_characters_gets_escapes() -> None:
    ended = _print_in_a_child("'Шины'", PYTHONIOENCODING="ascii")
    assert (ended.returncode, ended.stdout) == (0, b"\\u0428\\u0438\\u043d\\u044b\n")


# --- Progress --------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_bar() -> None:
    stream = Terminal()
    with open_display(OutputWrapper(stream), title="Collecting", is_bar_wanted=True) as display:
        display.note("[a note]")
        display.show(done=3, total=4, facts="failed [1]")
    shown = stream.getvalue()
    assert "[a note]" in shown
    assert "━" in shown
    assert "3/4" in shown
    assert "failed [1]" in shown


@pytest.mark.parametrize("stream", [Terminal(), io.StringIO()])
def test_without_a_bar_there_are_lines(stream: io.StringIO) -> None:
    is_bar_wanted = not isinstance(stream, Terminal)
    with open_display(OutputWrapper(stream), title="Collecting", is_bar_wanted=is_bar_wanted) as display:
        display.note("Begun.")
        display.show(done=0, total=4, facts="")
        display.show(done=4, total=4, facts="all")
    assert stream.getvalue() == "Begun.\nCollecting: 0/4\nCollecting: 4/4  all\n"


def test_lines_come_at_changes_and_ever_more_rarely(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("apps.core.management.progress.time", SimpleNamespace(monotonic=lambda: now))
    stream = io.StringIO()
    with open_display(OutputWrapper(stream), title="x", is_bar_wanted=True) as display:
        for second in range(3600):
            now = float(second)
            display.show(done=second // 2, total=1800, facts=f"{second} s")
        assert 10 < stream.getvalue().count("\n") < 80
        before = stream.getvalue()
        for second in range(3600, 7200):
            now = float(second)
            display.show(done=1799, total=1800, facts=f"{second} s")
        assert stream.getvalue() in (before, before + stream.getvalue()[len(before) :].splitlines()[0] + "\n")


# --- Arguments and tables --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (argument(parse_granularity), "week"),
        (argument(parse_granularity), "день" * 1000),
        (one_of(lambda: ["a", "b"]), "\udcff\x00" * 1000),
        (one_of(lambda: ["a", "b"]), ""),
        (whole_number(1, 9), "0"),
        (whole_number(1, 9), "10"),
        (whole_number(1, 9), "-5"),
        (whole_number(1, 9), "٣"),
        (whole_number(1, 9), "1.5"),
        (whole_number(1, 9), "9" * 10_000),
    ],
)
def test_bad_arguments_are_refused_in_a_short_line(parse: Callable[[str], Any], text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError) as caught:
        parse(text)
    assert len(str(caught.value)) < 300
    assert str(caught.value).isprintable()


def test_good_arguments_are_taken() -> None:
    assert whole_number(1, 9)("9") == 9
    assert one_of(lambda: ["a"])("a") == "a"
    assert argument(parse_granularity)("MONTH") == "month"


def test_a_table_is_aligned_whatever_its_characters() -> None:
    table = format_table(["name", "count", "note"], [("萌啦", 5, None), ("a\x1b[31m\n", 12, "x")])
    assert table.splitlines() == [
        "name         count  note",
        "萌啦             5  -",
        "a\\x1b[31m\\n     12  x",
    ]


def test_a_table_without_rows_is_its_titles() -> None:
    assert format_table(["a", "b"], []) == "a  b"


def test_a_table_is_the_same_for_every_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scripts read it: it is neither coloured nor fitted to a terminal, and its cells are no markup."""
    for name, value in {"COLUMNS": "10", "FORCE_COLOR": "1", "TERM": "xterm-256color"}.items():
        monkeypatch.setenv(name, value)
    assert format_table(["name", "note"], [("[red]x[/red] :smile:", "y" * 500)]).splitlines() == [
        "name                  note",
        "[red]x[/red] :smile:  " + "y" * 500,
    ]


def test_printable_text_stays_and_the_rest_is_escaped() -> None:
    assert printable("Шины 萌啦 \x07\u202e") == "Шины 萌啦 \\x07\\u202e"


# --- Options given twice ----------------------------------------------------------------------------


class Collecting(Doing):
    def add_arguments(self, parser: Any) -> None:
        super().add_arguments(parser)
        parser.add_argument("--day")
        parser.add_argument("--action", nargs="+", action="extend", default=[])
        parser.add_subparsers(dest="kind").add_parser("one").add_argument("--id")


@pytest.mark.parametrize("given", ["--day=1 --day 2", "--day=1 --day=1", "one --id=1 --id=2"])
def test_an_option_given_twice_is_refused(given: str) -> None:
    with pytest.raises(CommandError, match="must not be given more than once"):
        call_command(Collecting(), *given.split(), stdout=io.StringIO())


def test_a_list_may_be_given_in_parts_and_a_command_may_run_again() -> None:
    reported: list[Any] = []
    command = Collecting(lambda **options: reported.append((options["day"], options["action"])))
    for _ in range(2):
        call_command(command, "--day=1", "--action", "a", "--action", "b", stdout=io.StringIO())
    assert reported == [("1", ["a", "b"])] * 2
