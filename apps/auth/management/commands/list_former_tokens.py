"""`manage.py list_former_tokens`: what to mint anew for the API tokens of the former program."""

from __future__ import annotations

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
        "input, one on a line. Tokens are neither stored nor printed. Mint them anew with POST "
        "/api/auth/generate-token; a permanent one gets the longest lifetime."
    )
    needs_mongo = False

    def run(self, **_options: Any) -> tuple[Mapping[str, Any], str, ExitCode]:
        """Decode each line."""
        now = server_now()
        tokens: list[dict[str, Any]] = []
        unreadable: list[int] = []
        for number, line in _lines():
            claims = _claims_of(line)
            if claims is None:
                unreadable.append(number)
            else:
                tokens.append(_described(claims, now=now))
        lines = [_("Mint these anew, with POST /api/auth/generate-token:")]
        rows = [(one["label"], one["expires_hours"], _remark(one)) for one in tokens]
        lines.append(format_table(["label", "expires_hours", ""], rows))
        lines += [_("Line %(number)d is not a token.") % {"number": number} for number in unreadable]
        code = ExitCode.PARTLY_FAILED if unreadable else ExitCode.DONE
        return {"tokens": tokens, "unreadable_lines": unreadable}, "\n".join(lines), code


def _lines() -> Iterator[tuple[int, str]]:
    """Return the lines that hold something, with their numbers."""
    for number in range(1, _MAX_LINES + 1):
        line = sys.stdin.readline(_MAX_LINE_LENGTH)
        if not line:
            return
        if line.strip():
            yield number, line.strip()


def _claims_of(text: str) -> dict[str, Any] | None:
    try:
        claims: dict[str, Any] = jwt.decode(text.removeprefix("Bearer ").strip(), options=_UNCHECKED)
    except (jwt.InvalidTokenError, ValueError, RecursionError):
        return None
    return claims


def _described(claims: Mapping[str, Any], *, now: datetime) -> dict[str, Any]:
    label = next((claims[name] for name in _LABELS if isinstance(claims.get(name), str)), "")
    expires_at = claims.get("exp")
    is_permanent = not isinstance(expires_at, int | float) or isinstance(expires_at, bool)
    hours = EXPIRES_HOURS_MAX
    if not is_permanent:
        seconds = float(expires_at) - now.timestamp()  # type: ignore[arg-type]
        hours = max(0, min(EXPIRES_HOURS_MAX, int(-(-seconds // _SECONDS_PER_HOUR))))
    return {
        "label": printable(label)[:_MAX_LABEL_LENGTH],
        "expires_hours": hours,
        "was_permanent": is_permanent,
        "is_expired": hours == 0,
    }


def _remark(token: Mapping[str, Any]) -> str:
    if token["was_permanent"]:
        return _("was permanent; this is the longest lifetime")
    return _("has expired") if token["is_expired"] else ""
