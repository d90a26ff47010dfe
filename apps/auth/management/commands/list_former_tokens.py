"""`manage.py list_former_tokens`: which API tokens of the former program to create again."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import jwt
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from apps.auth.passwords.validation import EXPIRES_HOURS_MAX
from apps.core.management.base import CollectorCommand, ExitCode
from apps.core.management.tables import format_table, printable
from apps.core.storage.clock import server_now

_SECONDS_PER_HOUR = 3600
_MAX_LINES = 10_000
_MAX_LINE_LENGTH = 8192
_MAX_LABEL_LENGTH = 80
_LABELS = ("label", "name", "sub")
# Nothing is granted to these tokens, so it does not matter who has signed them.
_UNCHECKED: Any = {"verify_signature": False}


class Command(CollectorCommand):
    """Reads tokens from standard input; it neither stores nor prints them."""

    help = gettext_noop(
        "List the labels and lifetimes of the former program's API tokens, which are read from standard "
        "input, one on a line. Tokens are neither stored nor printed. Create them again with POST "
        "/api/auth/generate-token; a permanent one gets the longest lifetime."
    )
    examples = ("list_former_tokens < tokens.txt",)
    needs_mongo = False

    def run(self, **_options: Any) -> tuple[Mapping[str, Any], str, ExitCode]:
        """Decode each line."""
        now = server_now()
        tokens: list[dict[str, Any]] = []
        unreadable: list[int] = []
        lines_read = _Lines()
        for number, line in lines_read:
            try:
                tokens.append(_described(_claims_of(line), now=now))
            except _NotAToken:
                unreadable.append(number)
        lines = [_("Create these tokens again with POST /api/auth/generate-token:")]
        rows = [(one["label"], one["expires_hours"], _remark(one)) for one in tokens]
        lines.append(format_table(["label", "expires_hours", ""], rows))
        lines += [_("Line %(number)d is not a token.") % {"number": number} for number in unreadable]
        if not lines_read.is_complete:
            lines.append(_("Only the first %(count)d lines were read.") % {"count": _MAX_LINES})
        is_all = lines_read.is_complete and not unreadable
        code = ExitCode.DONE if is_all else ExitCode.PARTLY_FAILED
        result = {"tokens": tokens, "unreadable_lines": unreadable, "is_complete": lines_read.is_complete}
        return result, "\n".join(lines), code


class _NotAToken(ValueError):
    """The line is no token, or one that no program can have given out."""


class _Lines:
    """The lines of standard input that hold something, with their numbers; at most ``_MAX_LINES`` are read.

    Bytes are read where possible, because standard input as text refuses what is not UTF-8.
    """

    is_complete = True  # afterwards: whether that were all lines

    def __iter__(self) -> Iterator[tuple[int, str]]:
        stream = getattr(sys.stdin, "buffer", sys.stdin)
        for number in range(1, _MAX_LINES + 1):
            line = _text(stream.readline(_MAX_LINE_LENGTH + 1))
            if not line:
                return
            rest = line
            while rest and not rest.endswith("\n"):  # what is too long for a token is still one line
                rest = _text(stream.readline(_MAX_LINE_LENGTH))
            if line.strip():
                yield number, line.strip()
        self.is_complete = not stream.readline(1)


def _text(read: str | bytes) -> str:
    return read.decode(errors="replace") if isinstance(read, bytes) else read


def _claims_of(text: str) -> dict[str, Any]:
    """Return what the token says.

    :raises _NotAToken: when it is none.
    """
    if len(text) > _MAX_LINE_LENGTH:
        raise _NotAToken
    try:
        claims: dict[str, Any] = jwt.decode(text.removeprefix("Bearer ").strip(), options=_UNCHECKED)
    except (jwt.InvalidTokenError, ValueError, RecursionError) as error:
        raise _NotAToken from error
    return claims


def _described(claims: Mapping[str, Any], *, now: datetime) -> dict[str, Any]:
    """Return what is listed of a token.

    :raises _NotAToken: when its expiry is not a finite number.
    """
    label = next((claims[name] for name in _LABELS if isinstance(claims.get(name), str)), "")
    expires_at = _seconds_of(claims.get("exp"))
    hours = EXPIRES_HOURS_MAX
    if expires_at is not None:
        left = expires_at - now.timestamp()
        hours = max(0, min(EXPIRES_HOURS_MAX, math.ceil(left / _SECONDS_PER_HOUR)))
    return {
        "label": printable(label)[:_MAX_LABEL_LENGTH],
        "expires_hours": hours,
        "was_permanent": expires_at is None,
        "is_expired": hours == 0,
    }


def _seconds_of(value: object) -> float | None:
    """Return an expiry in Unix seconds; None is that of a permanent token."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _NotAToken
    try:
        seconds = float(value)
    except OverflowError as error:
        raise _NotAToken from error
    if not math.isfinite(seconds):
        raise _NotAToken
    return seconds


def _remark(token: Mapping[str, Any]) -> str:
    if token["was_permanent"]:
        return _("was permanent; this is the longest lifetime")
    return _("has expired") if token["is_expired"] else ""
