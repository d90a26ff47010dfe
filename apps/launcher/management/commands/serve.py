"""Starts the web server: granian, with several processes, each with several threads."""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Callable
from typing import Any

import structlog
from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from apps.core.management.base import TranslatedCommand
from apps.core.management.database_state import require_migrations_if_responding
from apps.core.web.draining import CLOSING_SECONDS
from apps.launcher.ports import listen_problem

logger = structlog.get_logger(__name__)

APPLICATION = "config.serving:application"
MAX_PORT = 65_535
MAX_DIGITS = 5
MAX_WORKERS = 256
MAX_THREADS = 1024
# A request may wait 30 s for a collection. At shutdown, one that takes longer than this has hung.
KILL_AFTER_SECONDS = 40
# How long a connection may stay without a complete head of a request, also between two requests. A balancer
# that keeps connections open should close them earlier, so that it never sends into a closed one.
HEAD_TIMEOUT_SECONDS = 30
# The C library would keep freed memory in many arenas, up to eight a core, for threads that allocate at the
# same time. Ours take turns anyway: only the one that holds Python's lock allocates. Read by glibc alone.
MALLOC_ARENAS = "1"
GRANIAN_LOGS = settings.BASE_DIR / "config" / "granian_logs.json"
RESPAWN_INTERVAL_SECONDS = 1


class Command(TranslatedCommand):
    """Serve the API and the admin until SIGTERM or Ctrl-C; requests in progress are finished first."""

    help = gettext_noop(
        "Start the web server. SIGTERM or Ctrl-C stops it after the requests in progress are finished."
    )
    examples = ("serve --host 0.0.0.0 --port 8000",)

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options; the environment sets the defaults of processes and threads."""
        parser.add_argument(
            "--host", default="127.0.0.1", help=_("address to listen on (default: %(default)s)")
        )
        parser.add_argument(
            "--port",
            type=_between(1, MAX_PORT),
            default=8000,
            help=_("port to listen on (default: %(default)s)"),
        )
        parser.add_argument(
            "--workers",
            type=_between(1, MAX_WORKERS),
            default=settings.WEB_WORKERS,
            help=_("processes (default: WEB_WORKERS, now %(default)s)"),
        )
        parser.add_argument(
            "--threads",
            type=_between(2, MAX_THREADS),
            default=settings.WEB_THREADS,
            help=_("threads of each process (default: WEB_THREADS, now %(default)s)"),
        )

    def handle(self, *, host: str, port: int, workers: int, threads: int, **_options: Any) -> None:
        """Replace this process with the web server, so that its parent sees the process id of granian.

        :raises CommandError: when the port is taken, or migrations are missing.
        """
        # The processes of the server share the port with SO_REUSEPORT. Without this check a second server
        # would start without an error and take half of the requests.
        problem = listen_problem(port, host=host)
        if problem is not None:
            message = _("Cannot listen on %(host)s port %(port)d: %(problem)s.")
            raise CommandError(message % {"host": host, "port": port, "problem": problem})
        require_migrations_if_responding()
        logger.info("serving", url=f"http://{_for_url(host)}:{port}", workers=workers, threads=threads)
        environment = {
            "MALLOC_ARENA_MAX": MALLOC_ARENAS,
            **os.environ,
            "WEB_WORKERS": str(workers),
            "WEB_THREADS": str(threads),
        }
        os.chdir(settings.BASE_DIR)
        os.execve(  # noqa: S606
            sys.executable,
            server_command(host=host, port=port, workers=workers, threads=threads),
            environment,
        )


def server_command(
    *, host: str, port: int, workers: int, threads: int, application: str = APPLICATION
) -> list[str]:
    """Return the command that starts granian; the benchmarks serve other applications in the same way."""
    return [
        *(sys.executable, "-m", "config.web_server", application),
        *("--interface", "wsgi"),
        *("--http", "1"),
        "--no-ws",
        *("--host", host),
        *("--port", str(port)),
        *("--workers", str(workers)),
        *("--blocking-threads", str(threads)),
        "--respawn-failed-workers",
        *("--respawn-interval", str(RESPAWN_INTERVAL_SECONDS)),
        *("--workers-kill-timeout", str(_kill_after_seconds())),
        *("--http1-header-read-timeout", str(HEAD_TIMEOUT_SECONDS * 1000)),
        "--no-access-log",  # query strings may contain tokens
        # With LOG_FORMAT=json every log line is JSON, also those of granian.
        *(("--log-config", str(GRANIAN_LOGS)) if settings.LOG_FORMAT == "json" else ()),
    ]


def _kill_after_seconds() -> int:
    return math.ceil(settings.DRAIN_SECONDS + CLOSING_SECONDS) + KILL_AFTER_SECONDS


def _between(minimum: int, maximum: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        is_number = text.isascii() and text.isdecimal() and len(text) <= MAX_DIGITS
        if not (is_number and minimum <= int(text) <= maximum):
            limits = {"minimum": minimum, "maximum": maximum}
            raise argparse.ArgumentTypeError(
                _("must be a whole number from %(minimum)d to %(maximum)d") % limits
            )
        return int(text)

    return parse


def _for_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
