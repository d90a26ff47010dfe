"""``bin/quickstart``: from a fresh clone to figures served by the API, in one command."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

import httpx

from apps.launcher.embedded import EmbeddedError
from apps.launcher.processes import ProcessFailedError, ProcessGroup
from apps.launcher.quickstart import QuickstartError
from apps.launcher.quickstart.env_file import EnvFile
from apps.launcher.quickstart.first_figures import Api, Figures, LoginRefusedError, collect_first_figures
from apps.launcher.quickstart.report import Report
from apps.launcher.quickstart.session import Session
from apps.launcher.quickstart.stack import Prepared, Stack

ROOT = Path(__file__).resolve().parents[3]
DEFAULT_PORT = 8000
MAX_PORT = 65_535
MAX_DIGITS = 5
WATCH_SECONDS = 0.5
SIGNAL_BASE = 128
# How long the first collection may take: the simulator needs seconds, a real service needs minutes.
SIMULATOR_SECONDS = 90
SERVICE_SECONDS = 600
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequestedError(Exception):
    """A signal asks quickstart to stop; further signals are ignored while the parts are being stopped."""

    def __init__(self, number: int) -> None:
        self.number = number


def main(arguments: Sequence[str]) -> int:
    """Run quickstart and return its exit status."""
    options = _parse(arguments)
    for number in STOP_SIGNALS:
        signal.signal(number, _request_stop)
    report = Report()
    try:
        with Session(ROOT / ".local") as session, ProcessGroup() as processes:
            return _run(report, session, processes, port=options.port, is_once=options.once)
    except StopRequestedError as request:
        return SIGNAL_BASE + request.number
    except (QuickstartError, EmbeddedError, ProcessFailedError) as error:
        sys.stderr.write(f"\nquickstart: {error}\n")
        return error.exit_status if isinstance(error, QuickstartError) else 1
    except OSError as error:
        sys.stderr.write(f"\nquickstart: {error}\n")
        return 1


def _run(report: Report, session: Session, processes: ProcessGroup, *, port: int, is_once: bool) -> int:
    env_file = EnvFile(Path(os.environ.get("ENV_FILE") or ROOT / ".env"), os.environ)
    if env_file.value("ENV") == "production":
        raise QuickstartError(
            "ENV=production is set, but quickstart is only for trying out the product. "
            "docs/operations.md describes how to run it in production."
        )
    report.say("MengLa Collector")
    ended = session.end_leftovers()
    if ended:
        report.line("Left over", f"stopped what a killed quickstart left running: {', '.join(ended)}")
    generated = env_file.add_missing_secrets()
    if generated:
        report.line("Secrets", f"generated in {env_file.path.name}: {', '.join(generated)}")
    stack = Stack(root=ROOT, env_file=env_file, session=session, processes=processes, port=port)
    prepared = _start(report, stack, has_new_password="ADMIN_PASSWORD" in generated)
    figures = _collect(report, stack, prepared)
    report.figures(figures)
    if stack.simulator_url:
        count = httpx.get(f"{stack.simulator_url}/stats", trust_env=False).json()["executions"]
        report.say(f"The simulator received {count} {'request' if count == 1 else 'requests'}.")
    if is_once:
        report.login(prepared)
        return 0
    report.addresses(stack, prepared)
    report.say("\nPress Ctrl-C to stop everything.")
    return _watch(report, stack)


def _start(report: Report, stack: Stack, *, has_new_password: bool) -> Prepared:
    """Start every part; the database is prepared first, because the other parts refuse one that is not."""
    for label, sentence in zip(("MongoDB", "Redis"), stack.start_databases(), strict=True):
        report.line(label, sentence)
    prepared = stack.prepare(has_new_password=has_new_password)
    report.prepared(prepared)
    stack.start_web()
    stack.wait_until_ready()
    stack.start_worker()
    if stack.simulator_url:
        report.line("Simulator", f"{stack.simulator_url} (set COLLECT_SERVICE_URL to use a real service)")
    report.line("Worker", "started")
    report.line("Web server", stack.web_url)
    for note in stack.notes:
        report.line("Note", note)
    return prepared


def _collect(report: Report, stack: Stack, prepared: Prepared) -> Figures:
    """Collect the first figures.

    :raises QuickstartError: when that fails, with the ends of the logs of the worker and the web server.
    """
    try:
        with Api(stack.web_url) as api:
            api.log_in(username=prepared.username, password=prepared.password)
            return collect_first_figures(
                api,
                check=stack.check,
                say=report.say,
                now=datetime.now(UTC),
                timeout_seconds=SIMULATOR_SECONDS if stack.simulator_url else SERVICE_SECONDS,
            )
    except LoginRefusedError as error:
        remedy = (
            "delete it from .env, and quickstart sets a new password."
            if stack.has_own_database
            else f"change it with: .venv/bin/python manage.py changepassword {prepared.username}"
        )
        raise QuickstartError(
            f"The password of the user {prepared.username} in this database is not ADMIN_PASSWORD. "
            f"Correct ADMIN_PASSWORD, or {remedy}"
        ) from error
    except QuickstartError as error:
        stack.check()
        raise QuickstartError(f"{error}\n{stack.log_tail('worker')}\n{stack.log_tail('web')}") from error


def _watch(report: Report, stack: Stack) -> int:
    """Watch the parts until a signal arrives (returns 0) and restart those that are killed.

    :raises ProcessFailedError: when a part ends by itself.
    :raises QuickstartError: when that part is an embedded server.
    """
    try:
        while True:
            restarted = stack.restart_killed()
            if restarted is not None:
                report.say(f"\nThe {restarted} was killed and has been restarted.")
            stack.check()
            time.sleep(WATCH_SECONDS)
    except StopRequestedError:
        report.say("\nStopping; requests in progress are finished first.")
        return 0


def _request_stop(number: int, _frame: FrameType | None) -> None:
    for each in STOP_SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    raise StopRequestedError(number)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bin/quickstart",
        description=(
            "Starts MongoDB, Redis, a simulator of the collection service, the worker and the web server, "
            "and collects one month of one category. All its files are in .env and .local/."
        ),
        epilog=(
            "To use existing servers instead, set MONGO_URI, REDIS_URI and COLLECT_SERVICE_URL "
            "in the environment or in .env."
        ),
    )
    parser.add_argument(
        "--once", action="store_true", help="exit with status 0 once the API has served the figures"
    )
    parser.add_argument("--port", type=_port, default=DEFAULT_PORT, help="web port (default: %(default)s)")
    return parser.parse_args(arguments)


def _port(text: str) -> int:
    is_number = text.isascii() and text.isdecimal() and len(text) <= MAX_DIGITS
    if not (is_number and 1 <= int(text) <= MAX_PORT):
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 to {MAX_PORT}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
