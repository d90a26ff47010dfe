"""The base class of our commands: output for people and for programs, fixed exit codes, no tracebacks.

Exit codes: 0 done, 1 failed, 2 bad arguments, 3 partly failed. Results go to stdout, progress to stderr.
"""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from enum import IntEnum
from typing import Any, ClassVar

import orjson
import pymongo
from django.core.management.base import BaseCommand, CommandParser
from django.db.utils import DatabaseError
from django.utils.translation import gettext as _
from pymongo.errors import PyMongoError
from redis import RedisError

from apps.core.errors import Conflict, DomainError
from apps.core.management.arguments import accept_each_once
from apps.core.management.database_state import database_problem
from apps.core.management.progress import Display, open_display
from apps.core.management.servers import error_text
from apps.core.management.stopping import Stopped, StopSignals, stop_signals
from apps.core.management.tables import printable
from apps.core.storage import mongo

_YES = "yes"
_MAX_REPLY_LENGTH = 20

__all__ = ["CollectorCommand", "ExitCode", "Stopped", "TranslatedCommand", "dump"]


class ExitCode(IntEnum):
    """The exit status of a command."""

    DONE = 0
    FAILED = 1
    BAD_ARGUMENTS = 2
    PARTLY_FAILED = 3


class TranslatedCommand(BaseCommand):
    """A command whose help is in the language of LANGUAGE_CODE."""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Translate the help, which is marked with ``gettext_noop``: argparse cannot wrap lazy text."""
        self.help = _(self.help)
        return super().create_parser(prog_name, subcommand, **kwargs)


class CollectorCommand(TranslatedCommand):
    """Runs :meth:`run`, prints its result once (a line, or JSON with ``--json``) and exits with its code.

    SIGINT and SIGTERM raise :class:`Stopped` inside :meth:`run`, once. A command may catch it
    to report what it has done so far.
    """

    requires_system_checks = []
    # Django's own options still work; the help leaves them out.
    suppressed_base_arguments = {
        "--version",
        "--verbosity",
        "--settings",
        "--pythonpath",
        "--traceback",
        "--no-color",
        "--force-color",
        "--skip-checks",
    }

    can_dry_run: ClassVar[bool] = False
    # Errors that mean that an argument was wrong: exit code 2 instead of 1.
    argument_errors: ClassVar[tuple[type[DomainError], ...]] = ()
    # Commands may do long work; the short limit of the settings is for web requests. None: the command sets
    # limits of its own, because it may run for days.
    operation_timeout_seconds: ClassVar[float | None] = 3600
    needs_mongo: ClassVar[bool] = True
    # Ends with a message, before anything is touched, when the database must not be used.
    checks_database: ClassVar[bool] = True

    signals: StopSignals

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Accept no abbreviated options, and each option with one value once.

        Otherwise a command without ``--force`` would read it as Django's ``--force-color``.
        """
        parser = super().create_parser(prog_name, subcommand, **{"allow_abbrev": False} | kwargs)
        accept_each_once(parser)
        return parser

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the options of every command."""
        parser.add_argument(
            "--json", action="store_true", dest="is_json", help=_("Print the result as JSON.")
        )
        parser.add_argument(
            "--no-progress", action="store_true", help=_("Show progress as lines instead of a bar.")
        )
        if self.can_dry_run:
            self.add_dry_run(parser)

    @staticmethod
    def add_dry_run(parser: CommandParser) -> None:
        """Add ``--dry-run``; called directly by a command of which only some subcommands have it."""
        parser.add_argument(
            "--dry-run", action="store_true", help=_("Show what would be done, without changing anything.")
        )

    def run(self, **options: Any) -> tuple[Mapping[str, Any], str, ExitCode]:
        """Do the work; return the result for ``--json``, a summary for people and the exit code."""
        raise NotImplementedError

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run the command, and print known failures as messages."""
        with stop_signals() as self.signals:
            code = self._run_and_print(options)
        if code is not ExitCode.DONE:
            sys.exit(code)

    def progress(self, title: str, options: Mapping[str, Any]) -> AbstractContextManager[Display]:
        """Show progress on stderr: a bar in a terminal, lines elsewhere."""
        return open_display(self.stderr, title=title, is_bar_wanted=not options["no_progress"])

    @staticmethod
    def check_database() -> None:
        """Check that the database may be used.

        :raises Conflict: when it must not, with what to do.
        """
        if problem := database_problem():
            raise Conflict(problem)

    def is_confirmed(self) -> bool:
        """Ask on stderr, and return whether the reply on standard input is "yes"."""
        self.stderr.write(_("Type %(yes)s to continue: ") % {"yes": _YES}, ending="")
        self.stderr.flush()
        return sys.stdin.readline(_MAX_REPLY_LENGTH).strip() == _YES

    def _run_and_print(self, options: Mapping[str, Any]) -> ExitCode:
        is_json: bool = options["is_json"]
        try:
            if self.needs_mongo:
                # Before the long limit begins: PyMongo would search for a missing server until it ends.
                mongo.ping()
                if self.checks_database:
                    self.check_database()
            with self._time_limit():
                result, summary, code = self.run(**options)
        except DomainError as error:
            self._print_error(error, is_json=is_json)
            is_bad_argument = isinstance(error, self.argument_errors)
            return ExitCode.BAD_ARGUMENTS if is_bad_argument else ExitCode.FAILED
        except (PyMongoError, DatabaseError, RedisError) as error:
            self._print_error(DomainError(error_text(error)), is_json=is_json)
            return ExitCode.FAILED
        except Stopped as stopped:
            message = _("Stopped by %(signal)s.") % {"signal": stopped.signal_name}
            self._print_error(DomainError(message), is_json=is_json)
            return ExitCode.FAILED
        self._print(dump(result) if is_json else summary)
        return code

    def _time_limit(self) -> AbstractContextManager[object]:
        seconds = self.operation_timeout_seconds
        return nullcontext() if seconds is None else pymongo.timeout(seconds)

    def _print(self, text: str) -> None:
        out = getattr(self.stdout, "_out", None)
        if isinstance(out, io.TextIOWrapper):
            out.reconfigure(errors="backslashreplace")  # for a terminal that cannot encode the text
        try:
            self.stdout.write(text)
            self.stdout.flush()
        except BrokenPipeError:
            # The reader, such as `head`, has closed the pipe. Python must not fail when it flushes at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def _print_error(self, error: DomainError, *, is_json: bool) -> None:
        if is_json:
            self._print(
                dump(
                    {
                        "error": error.code.value,
                        "message": str(error.message),
                        "detail": error.detail,
                        "fields": error.fields,
                    }
                )
            )
            return
        self.stderr.write(str(error.message))
        for field, messages in (error.fields or {}).items():
            for message in messages:
                if message != error.message:
                    self.stderr.write(f"  {printable(str(field))}: {message}")


def dump(result: Mapping[str, Any]) -> str:
    """Return the result as one line of JSON."""
    try:
        return orjson.dumps(result, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except orjson.JSONEncodeError:  # text that is not valid Unicode, such as an argument of broken bytes
        return json.dumps(result, default=str)
