"""Writes logins by the provider to the audit log, without anything secret."""

from __future__ import annotations

import structlog
from django.http import HttpRequest

from apps.auth.choices import LoginOutcome
from apps.auth.oidc.refusals import LoginRefusedError
from apps.auth.passwords.validation import printable

audit = structlog.get_logger("collector.audit")


def log_login(
    request: HttpRequest, *, username: str | None = None, refusal: LoginRefusedError | None = None
) -> None:
    """Write how a login by the provider ended."""
    facts = {} if refusal is None else {"reason": refusal.reason.value, "detail": refusal.detail}
    audit.info(
        "login",
        username=username and printable(username),
        address=printable(request.META.get("REMOTE_ADDR", "")),
        outcome=(LoginOutcome.ACCEPTED if refusal is None else LoginOutcome.REFUSED).value,
        by="oidc",
        **facts,
    )
