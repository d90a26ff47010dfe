"""The messages of alerts: sent in English, shown in the reader's language."""

from __future__ import annotations

from django.utils.translation import gettext_noop

from apps.core.stored_messages import Messages

MESSAGES = Messages("message")
ANSWERED = MESSAGES.register(
    "answered",
    gettext_noop("%(answered)d of %(total)d collections of the last %(minutes)d min got an answer."),
)
SLOW = MESSAGES.register(
    "slow", gettext_noop("Collections of the last %(minutes)d min took %(seconds).1f s on average.")
)
AT_ONCE = MESSAGES.register(
    "at_once",
    gettext_noop("%(hits)d of %(total)d reads of the last %(minutes)d min were hits."),
)
EMPTY = MESSAGES.register("empty", gettext_noop("The last %(count)d answers were empty."))
WAITING = MESSAGES.register(
    "waiting", gettext_noop("The oldest collection has been waiting for %(minutes).0f min.")
)
UNANSWERED = MESSAGES.register(
    "unanswered", gettext_noop("The collection service did not answer %(count)d times in a row.")
)
NO_WORKER = MESSAGES.register("no_worker", gettext_noop("No worker has ever reported."))
OLD_REPORT = MESSAGES.register(
    "old_report", gettext_noop("The last report of a worker is %(seconds).0f s old.")
)
