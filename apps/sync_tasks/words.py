"""What is stored of a run in English, or by a key, in the language of the reader."""

from __future__ import annotations

from collections.abc import Mapping

from django.utils.translation import gettext, gettext_noop

from apps.core.stored_messages import Sentences

# Why runs end early or incomplete.
SOME_FAILED = gettext_noop("%(failed)s of %(total)s collections failed.")
CANCELLED_BY = gettext_noop("Cancelled by %(user)s.")
PLAN_UNREADABLE = gettext_noop("The plan cannot be read: %(error)s.")
ORIGINAL_DELETED = gettext_noop("The sync task that this one repeats has been deleted.")
_ERRORS = Sentences(SOME_FAILED, CANCELLED_BY, PLAN_UNREADABLE, ORIGINAL_DELETED)


def shown_error(stored: str) -> str:
    """Return why a run failed or ended early."""
    return _ERRORS.shown(stored)


def skipped_text(skipped: Mapping[str, int]) -> str:
    """Return how many collections were left out, and why."""
    reasons = {
        "fresh": gettext("%(count)d left out because they are fresh"),
        "present": gettext("%(count)d left out because they are stored"),
        "gone": gettext("%(count)d left out because they are gone"),
        "empty": gettext("%(count)d left out because they are empty"),
    }
    other = gettext("%(count)d left out")
    return ", ".join(reasons.get(reason, other) % {"count": count} for reason, count in skipped.items())
