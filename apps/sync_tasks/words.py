"""The texts for what a run stores as codes, in the language of the user."""

from __future__ import annotations

from collections.abc import Mapping

from django.utils.translation import gettext, gettext_lazy, gettext_noop, ngettext

from apps.core.printable import list_text
from apps.core.stored_messages import Messages
from apps.core.time_texts import duration_text
from apps.sync_tasks.progress import Progress

_MINUTE = 60
# Why operators cannot do something with a run.
HAS_ENDED = gettext_lazy("This sync task has ended.")
IS_RUNNING = gettext_lazy("This sync task is running. Cancel it first.")
NONE_FAILED = gettext_lazy("No collection of this sync task has failed.")

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


def time_left_text(progress: Progress) -> str:
    """Return how long a running run still takes, and what this rests on; or why it is not known.

    What it waits for, if anything, is to be shown in place of this.
    """
    if progress.eta_seconds is None:
        if progress.per_minute > 0:
            return gettext("not known while it is being planned")
        if progress.total == progress.active:
            return gettext("not known before the first collection has ended")
        return gettext("not known while no collection ends")
    if progress.eta_seconds == 0:
        return gettext("almost done")
    facts = {"time": _rough_text(progress.eta_seconds), "count": progress.rate_collections}
    if not progress.is_own_rate:
        text = ngettext(
            "about %(time)s left, from the last %(count)d answer to others",
            "about %(time)s left, from the last %(count)d answers to others",
            progress.rate_collections,
        )
    else:
        text = ngettext(
            "about %(time)s left, from the last %(count)d collection",
            "about %(time)s left, from the last %(count)d collections",
            progress.rate_collections,
        )
    return text % facts


def rate_text(per_minute: float) -> str:
    """Return how many collections end per minute."""
    return gettext("%(rate).1f per minute") % {"rate": per_minute}


def short_time_left_text(progress: Progress) -> str:
    """Return how long a running run still takes, for a line with little room; empty if it is not known."""
    if not progress.eta_seconds:
        return ""
    return gettext("about %(time)s left") % {"time": _rough_text(progress.eta_seconds)}


def _rough_text(seconds: int) -> str:
    """Return a duration without tenths of a second: it is an estimate."""
    return gettext("%(count)d s") % {"count": seconds} if seconds < _MINUTE else duration_text(seconds)


def skipped_text(skipped: Mapping[str, int]) -> str:
    """Return how many collections were skipped, and why."""
    reasons = {
        "fresh": gettext("%(count)d skipped (up to date)"),
        "present": gettext("%(count)d skipped (already stored)"),
        "gone": gettext("%(count)d skipped (no longer stored)"),
        "empty": gettext("%(count)d skipped (no data)"),
    }
    other = gettext("%(count)d skipped")
    return list_text(reasons.get(reason, other) % {"count": count} for reason, count in skipped.items())
