"""The command line of ``manage.py``: finds the command, and reports errors of any command in one form."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, suppress
from typing import Any

from django.conf import settings
from django.core.management import ManagementUtility, get_commands
from django.core.management.base import BaseCommand, CommandParser

from apps.core.errors import ErrorCode, ErrorCodeBase
from apps.core.management import json_output

BAD_ARGUMENTS = 2


class Utility(ManagementUtility):
    """Django's utility; an unknown command is an invalid argument, and ``--json`` holds for all errors."""

    def execute(self) -> None:
        """Run the command; ``--version`` and ``version`` print the product's version, not Django's."""
        if self.argv[1:] in (["--version"], ["version"]):
            json_output.write_line(sys.stdout, settings.VERSION)
            return
        super().execute()

    def fetch_command(self, subcommand: str) -> BaseCommand:
        """Return the command; end the program when there is none of this name."""
        if subcommand not in get_commands():
            told = io.StringIO()
            # Django writes the message, with a guess, and ends the program.
            with redirect_stderr(told), suppress(SystemExit):
                super().fetch_command(subcommand)
            # Django's own text joins its question and its advice: "Did you mean serve?" and no stop.
            lines = (line.rstrip(".") for line in told.getvalue().splitlines() if line)
            print_error(" ".join(line if line.endswith("?") else f"{line}." for line in lines), self.argv)
            sys.exit(BAD_ARGUMENTS)
        command: BaseCommand = super().fetch_command(subcommand)
        if json_output.is_wanted(self.argv):
            _print_errors_as_json(command)
        return command


def _print_errors_as_json(command: BaseCommand) -> None:
    """Let the command print errors of its arguments as JSON, also one of Django's."""
    create_parser = command.create_parser

    def create(*args: Any, **kwargs: Any) -> CommandParser:
        parser = create_parser(*args, **kwargs)
        json_output.print_errors_as_json(parser)
        return parser

    command.create_parser = create  # type: ignore[method-assign]


def print_error(
    message: str, argv: Sequence[str], *, code: ErrorCodeBase = ErrorCode.VALIDATION_ERROR
) -> None:
    """Print why the program ends: for people on stderr, with ``--json`` for programs on stdout."""
    if json_output.is_wanted(argv):
        json_output.write_line(sys.stdout, json_output.dump_error(message, code=code))
    else:
        json_output.write_line(sys.stderr, message)
