"""Results and errors of commands as one line of JSON, in the fields of the API.

``manage.py`` uses this module before the settings are read.
"""

from __future__ import annotations

import argparse
import errno
import io
import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, NoReturn

import orjson
from django.core.management.base import CommandParser

from apps.core.errors import ErrorCode, ErrorCodeBase

OPTION = "--json"
_BAD_ARGUMENTS = 2


def dump(result: Mapping[str, Any]) -> str:
    """Return the result as one line of JSON."""
    try:
        return orjson.dumps(result, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except orjson.JSONEncodeError:  # text that is not valid Unicode, such as an argument of broken bytes
        return json.dumps(result, default=str)


def dump_error(
    message: str,
    *,
    code: ErrorCodeBase = ErrorCode.VALIDATION_ERROR,
    detail: str | None = None,
    fields: Mapping[str, list[str]] | None = None,
) -> str:
    """Return an error as one line of JSON."""
    return dump({"error": code.value, "message": message, "detail": detail, "fields": fields})


def write_line(stream: Any, text: str) -> OSError | None:
    """Write a text and a line end to a stream; characters that it cannot encode are escaped.

    Returns the error when that fails: the stream is closed, its disk is full, or the reader of the pipe, such
    as `head`, has ended.
    """
    out = getattr(stream, "_out", stream)
    if out is None:  # Python's name for a stream that was closed before the start
        return OSError(errno.EBADF, os.strerror(errno.EBADF))
    if isinstance(out, io.TextIOWrapper):
        out.reconfigure(errors="backslashreplace")
    try:
        stream.write(text if text.endswith("\n") else f"{text}\n")
        stream.flush()
    except OSError as error:
        # Python must not fail when it flushes at exit.
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
        return error
    return None


def is_wanted(arguments: Sequence[str]) -> bool:
    """Whether these arguments of a command ask for JSON; they may be wrong in any other way."""
    return any(one == OPTION or one.startswith(f"{OPTION}=") for one in arguments)


class _JsonErrorParser(CommandParser):
    """Prints what is wrong with the arguments as JSON."""

    def error(self, message: str) -> NoReturn:
        """Print the error on stdout, as all errors with ``--json`` are, and end the program."""
        write_line(sys.stdout, dump_error(message))
        sys.exit(_BAD_ARGUMENTS)


def print_errors_as_json(parser: argparse.ArgumentParser) -> None:
    """Let the parser and those of its subcommands print errors as JSON."""
    parser.__class__ = _JsonErrorParser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for subparser in action.choices.values():
                print_errors_as_json(subparser)
