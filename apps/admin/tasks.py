"""The tasks of this app for the worker cluster; each calls one service."""

from __future__ import annotations

import pymongo

from apps.admin.alerts import evaluation, outbox

# Less than the minute until the next check.
_CHECK_TIMEOUT_SECONDS = 50
_SEND_TIMEOUT_SECONDS = 120


def alert_check() -> dict[str, list[str]] | None:
    """Evaluate all alert rules, once a minute in the whole installation.

    Returns the keys of the alerts that fired and resolved; None when this minute has been checked already.
    """
    with pymongo.timeout(_CHECK_TIMEOUT_SECONDS):
        result = evaluation.run_scheduled_check()
    return None if result is None else {"fired": result.fired, "resolved": result.resolved}


def send_alert_notices() -> int:
    """Send the alert notices that are due; returns how many were delivered."""
    with pymongo.timeout(_SEND_TIMEOUT_SECONDS):
        return outbox.deliver_due()
