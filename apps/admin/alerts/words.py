"""What alerts say: stored and sent in English, shown in the language of the reader."""

from __future__ import annotations

from django.utils.translation import gettext_noop

from apps.core.stored_messages import Sentences

ANSWERED = gettext_noop("%(answered)d of %(total)d collections of the last %(minutes)d min got an answer.")
SLOW = gettext_noop("Collections of the last %(minutes)d min took %(seconds).1f s in the mean.")
AT_ONCE = gettext_noop("%(hits)d of %(total)d questions of the last %(minutes)d min were answered at once.")
EMPTY = gettext_noop("The last %(count)d answers were empty.")
WAITING = gettext_noop("The oldest collection has been waiting for %(minutes).0f min.")
UNANSWERED = gettext_noop("The collection service did not answer %(count)d times in a row.")
NO_WORKER = gettext_noop("No worker has ever reported.")
OLD_REPORT = gettext_noop("The last report of a worker is %(seconds).0f s old.")
_MESSAGES = Sentences(ANSWERED, SLOW, AT_ONCE, EMPTY, WAITING, UNANSWERED, NO_WORKER, OLD_REPORT)


def shown_message(stored: str) -> str:
    """Return the message of an alert."""
    return _MESSAGES.shown(stored)
