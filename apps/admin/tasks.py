"""What the worker cluster runs for this app: thin doors to services."""

from __future__ import annotations

import pymongo

from apps.admin.alerts import evaluation, outbox

# Less than the minute until the next check.
_CHECK_TIMEOUT_SECONDS = 50
_SEND_TIMEOUT_SECONDS = 120


def alert_check() -> dict[str, list[str]] | None:
    """Ask all alert rules, once a minute in the whole installation."""
    with pymongo.timeout(_CHECK_TIMEOUT_SECONDS):
        result = evaluation.run_scheduled_check()
    return None if result is None else {"fired": result.fired, "resolved": result.resolved}


def send_alert_notices() -> int:
    """Tell the receiver of alerts what it has not been told yet."""
    with pymongo.timeout(_SEND_TIMEOUT_SECONDS):
        return outbox.deliver_due()
