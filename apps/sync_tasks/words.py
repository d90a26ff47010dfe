"""The texts for what a run stores as codes, in the language of the user."""

from __future__ import annotations

from collections.abc import Mapping

from django.utils.translation import gettext, gettext_noop

from apps.core.stored_messages import Messages

# Why runs end early or incomplete.
ERRORS = Messages("error_message")
SOME_FAILED_CODE = "some_failed"
SOME_FAILED = ERRORS.register(SOME_FAILED_CODE, gettext_noop("%(failed)s of %(total)s collections failed."))
CANCELLED_BY = ERRORS.register("cancelled_by", gettext_noop("Cancelled by %(user)s."))
PLAN_UNREADABLE = ERRORS.register("plan_unreadable", gettext_noop("The plan cannot be read: %(error)s."))
ORIGINAL_DELETED = ERRORS.register(
    "original_deleted", gettext_noop("The sync task that this one repeats has been deleted.")
)
PROGRAM_ENDED = ERRORS.register(
    "program_ended", gettext_noop("It was running when the program that had started it ended.")
)


def skipped_text(skipped: Mapping[str, int]) -> str:
    """Return how many collections were skipped, and why."""
    reasons = {
        "fresh": gettext("%(count)d skipped (up to date)"),
        "present": gettext("%(count)d skipped (already stored)"),
        "gone": gettext("%(count)d skipped (no longer stored)"),
        "empty": gettext("%(count)d skipped (no data)"),
    }
    other = gettext("%(count)d skipped")
    return ", ".join(reasons.get(reason, other) % {"count": count} for reason, count in skipped.items())
