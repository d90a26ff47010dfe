"""The base class of our commands: output for people and for programs, fixed exit codes, no tracebacks.

Exit codes: 0 done, 1 failed, 2 bad arguments, 3 partly failed. Results go to stdout, progress to stderr; with
``--json`` errors go to stdout, too, those of arguments included.
"""

from __future__ import annotations

import argparse
import logging
import os
import pwd
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from enum import IntEnum
from typing import Any, ClassVar

import pymongo
import structlog
from django.core.management.base import BaseCommand, CommandError, CommandParser, DjangoHelpFormatter
from django.db.utils import DatabaseError
from django.utils.translation import gettext as _
from pymongo.errors import PyMongoError
from redis import RedisError

from apps.core.errors import Conflict, DependencyUnavailable, DomainError
from apps.core.management.arguments import accept_each_once
from apps.core.management.colours import Tone, coloured, for_stream
from apps.core.management.database_state import database_problem
from apps.core.management.json_output import dump, dump_error, is_wanted, print_errors_as_json, write_line
from apps.core.management.progress import Display, open_display
from apps.core.management.servers import error_text
from apps.core.management.stopping import Stopped, StopSignals, stop_signals
from apps.core.management.tables import printable
from apps.core.storage import mongo
from apps.core.storage.outages import is_mongo_outage, is_redis_outage

_YES = "yes"
_MAX_REPLY_LENGTH = 20
_VERBOSE = 2
# Who did it, where a user is noted. Log lines also have the name of the user of the system.
OPERATOR = "manage.py"

__all__ = ["CollectorCommand", "ExitCode", "Stopped", "TranslatedCommand"]


class ExitCode(IntEnum):
    """The exit status of a command."""

    DONE = 0
    FAILED = 1
    BAD_ARGUMENTS = 2
    PARTLY_FAILED = 3


class _HelpFormatter(DjangoHelpFormatter):
    """Wraps the help of a command, and keeps the lines of its examples."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if "\n" in text:
            return "\n".join(indent + line for line in text.splitlines())
        return super()._fill_text(text, width, indent)


class TranslatedCommand(BaseCommand):
    """A command whose help is in the language of LANGUAGE_CODE, and ends with examples."""

    examples: ClassVar[tuple[str, ...]] = ()
    _is_json_wanted = False

    def run_from_argv(self, argv: list[str]) -> None:
        """Run the command line; with ``--json`` anywhere in it, wrong arguments are told as JSON."""
        self._is_json_wanted = is_wanted(argv[2:])
        super().run_from_argv(argv)

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Translate the help, which is marked with ``gettext_noop``: argparse cannot wrap lazy text."""
        self.help = _(self.help)
        options: dict[str, Any] = {"formatter_class": _HelpFormatter, **kwargs}
        if self.examples:
            lines = (f"  python manage.py {example}" for example in self.examples)
            options["epilog"] = "\n".join((_("Examples:"), *lines))
        parser = super().create_parser(prog_name, subcommand, **options)
        if self._is_json_wanted:
            print_errors_as_json(parser)
        return parser


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

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.stderr.style_func = None  # Django would colour progress and questions as errors
        self._options: Mapping[str, Any] = {}

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
        if "--no-color" not in parser._option_string_actions:
            _add_django_options(parser)

    @staticmethod
    def add_dry_run(parser: CommandParser | argparse._MutuallyExclusiveGroup) -> None:
        """Add ``--dry-run``; called directly by a command of which only some subcommands have it."""
        parser.add_argument(
            "--dry-run", action="store_true", help=_("Show what would be done, without changing anything.")
        )

    @staticmethod
    def add_confirmation(parser: CommandParser | argparse._MutuallyExclusiveGroup) -> None:
        """Add ``--yes``, for :meth:`confirm`."""
        parser.add_argument("--yes", action="store_true", help=_("Do not ask for confirmation."))

    def run(self, **options: Any) -> tuple[Mapping[str, Any], str, ExitCode]:
        """Do the work; return the result for ``--json``, a summary for people and the exit code."""
        raise NotImplementedError

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run the command, and print known failures as messages."""
        self._options = options
        with (
            stop_signals() as self.signals,
            _logged_as(options),
            _quiet_logs(self.stderr, verbosity=options["verbosity"]),
        ):
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

    def confirm(self, question: str, options: Mapping[str, Any]) -> None:
        """Ask whether to go on, unless ``--yes`` was given.

        :raises Conflict: when the reply is not "yes", or when there is nobody to ask.
        """
        if options["yes"]:
            return
        self.stderr.write(question)
        if not self.is_confirmed():
            raise Conflict(_("Nothing was changed. Add --yes to run it without this question."))

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
            kind = DependencyUnavailable if is_mongo_outage(error) or is_redis_outage(error) else DomainError
            self._print_error(kind(error_text(error)), is_json=is_json)
            return ExitCode.FAILED
        except CommandError as error:
            if not is_json:
                raise
            self._print(dump_error(str(error)))
            return ExitCode(error.returncode)
        except Stopped as stopped:
            message = _("Stopped by %(signal)s.") % {"signal": stopped.signal_name}
            self._print_error(DomainError(message), is_json=is_json)
            return ExitCode.FAILED
        unwritten = self._print(dump(result) if is_json else summary)
        return code if unwritten is None else self._tell_unwritten(unwritten, result, code)

    def take_back(self, _result: Mapping[str, Any]) -> str:
        """Undo what is of no use when its result could not be written; returns what was done about it."""
        return ""

    def _tell_unwritten(self, error: OSError, result: Mapping[str, Any], code: ExitCode) -> ExitCode:
        taken_back = self.take_back(result)
        if isinstance(error, BrokenPipeError) and not taken_back:
            return code  # the reader has seen enough
        message = _("The result could not be written (%(error)s).") % {"error": error.strerror}
        self._print_error(DomainError(f"{message} {taken_back}".strip()), is_json=False)
        return ExitCode.FAILED

    def _time_limit(self) -> AbstractContextManager[object]:
        seconds = self.operation_timeout_seconds
        return nullcontext() if seconds is None else pymongo.timeout(seconds)

    def _print(self, text: str) -> OSError | None:
        return write_line(self.stdout, for_stream(text, self.stdout, self._options))

    def _print_error(self, error: DomainError, *, is_json: bool) -> None:
        message = str(error.message)
        if is_json:
            self._print(dump_error(message, code=error.code, detail=error.detail, fields=error.fields))
            return
        write_line(self.stderr, for_stream(coloured(message, Tone.BAD), self.stderr, self._options))
        for field, messages in (error.fields or {}).items():
            for one in messages:
                if one != error.message:
                    self.stderr.write(f"  {printable(str(field))}: {one}")


def _add_django_options(parser: CommandParser) -> None:
    """Add to a subcommand the options of Django that are about output; Django adds them to commands only."""
    hidden: dict[str, Any] = {"help": argparse.SUPPRESS, "default": argparse.SUPPRESS}
    for name in ("--no-color", "--force-color", "--traceback"):
        parser.add_argument(name, action="store_true", **hidden)
    parser.add_argument("-v", "--verbosity", type=int, choices=range(4), **hidden)


def _logged_as(options: Mapping[str, Any]) -> AbstractContextManager[object]:
    """Note the command and who runs it in every log line of the block."""
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container may run as a user without a name
        user = str(os.getuid())
    subcommand = {"subcommand": options["subcommand"]} if options.get("subcommand") else {}
    return structlog.contextvars.bound_contextvars(os_user=user, **subcommand)


@contextmanager
def _quiet_logs(stderr: Any, *, verbosity: int) -> Iterator[None]:
    """Hide log lines below WARNING on a terminal within the block: they repeat the result.

    ``--verbosity 2`` shows them. Elsewhere they are written as always, so that logs are complete.
    """
    if verbosity >= _VERBOSE or not stderr.isatty():
        yield
        return
    levels = [(handler, handler.level) for handler in logging.getLogger().handlers]
    for handler, level in levels:
        handler.setLevel(max(level, logging.WARNING))
    try:
        yield
    finally:
        for handler, level in levels:
            handler.setLevel(level)
