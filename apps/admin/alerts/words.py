"""The messages of alerts: sent in English, shown in the reader's language."""

from __future__ import annotations

from django.utils.translation import gettext_noop

from apps.core.stored_messages import Messages
from apps.mengla.choices import CollectionError

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
# By the error that opened the breaker; ``since`` is an instant as text.
OUTAGES = {
    CollectionError.UNAUTHORIZED.value: MESSAGES.register(
        "outage_unauthorized",
        gettext_noop(
            "The collection service has refused the key since %(since)s. Correct COLLECT_SERVICE_API_KEY."
        ),
    ),
    CollectionError.UNKNOWN_TASK.value: MESSAGES.register(
        "outage_unknown_task",
        gettext_noop(
            "The collection service has had no task of this name since %(since)s. Correct COLLECT_TASK_NAME."
        ),
    ),
    CollectionError.REJECTED.value: MESSAGES.register(
        "outage_simulator",
        gettext_noop(
            "The simulator has responded in place of the collection service since %(since)s. Correct "
            "COLLECT_SERVICE_URL."
        ),
    ),
    CollectionError.CONNECT_ERROR.value: MESSAGES.register(
        "outage_connect_error",
        gettext_noop(
            "The collection service has been unreachable since %(since)s. Start it, or correct "
            "COLLECT_SERVICE_URL."
        ),
    ),
    CollectionError.TIMEOUT.value: MESSAGES.register(
        "outage_timeout",
        gettext_noop(
            "The collection service has not answered since %(since)s. Check it, and that it reaches "
            "MENGLA_WEBHOOK_URL."
        ),
    ),
    CollectionError.SERVICE_ERROR.value: MESSAGES.register(
        "outage_service_error",
        gettext_noop(
            "The collection service has answered with errors since %(since)s. Check it and "
            "COLLECT_SERVICE_URL."
        ),
    ),
    CollectionError.EXECUTION_FAILED.value: MESSAGES.register(
        "outage_execution_failed",
        gettext_noop("The collection service has failed every collection since %(since)s. Check it."),
    ),
}
NO_WORKER = MESSAGES.register("no_worker", gettext_noop("No worker has ever reported."))
OLD_REPORT = MESSAGES.register(
    "old_report", gettext_noop("The last report of a worker is %(seconds).0f s old.")
)
# A refused webhook of one of our executions; see :mod:`apps.mengla.ingest.refused_signatures`.
SIGNED_WRONGLY = MESSAGES.register(
    "signed_wrongly",
    gettext_noop(
        "%(count)d webhooks of our executions had a wrong signature. "
        "WEBHOOK_SECRET probably differs from the collection service's."
    ),
)
