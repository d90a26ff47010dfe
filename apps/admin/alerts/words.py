"""The messages of alerts: stored in English with their codes, shown in the reader's language.

Messages that count have a second one for a single object. Codes are stored, so none is removed or changed.
"""

from __future__ import annotations

from django.utils.translation import gettext_noop

from apps.core.stored_messages import Messages
from apps.mengla.choices import CollectionError

MESSAGES = Messages("message")
REASONS = Messages("reason")  # why a rule could not be judged
PROBLEMS = Messages("error")  # why a notice was not delivered
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
TEST_SENT = MESSAGES.register(
    "test_sent", gettext_noop("This is a test by %(user)s. Nothing is wrong, and nothing has to be done.")
)
# Of a single object.
ANSWERED_ONE = MESSAGES.register(
    "answered_one", gettext_noop("The only collection of the last %(minutes)d min got no answer.")
)
AT_ONCE_ONE = MESSAGES.register(
    "at_once_one", gettext_noop("The only read of the last %(minutes)d min was no hit.")
)
EMPTY_ONE = MESSAGES.register("empty_one", gettext_noop("The last answer was empty."))
UNANSWERED_ONE = MESSAGES.register(
    "unanswered_one", gettext_noop("The collection service did not answer the last request.")
)
SIGNED_WRONGLY_ONE = MESSAGES.register(
    "signed_wrongly_one",
    gettext_noop(
        "A webhook of our executions had a wrong signature. "
        "WEBHOOK_SECRET probably differs from the collection service's."
    ),
)
# What became better, and for how long the alert lasted.
RECOVERED = MESSAGES.register("recovered", gettext_noop("Back to normal; the alert lasted %(lasted)s."))
ANSWERED_AGAIN = MESSAGES.register(
    "answered_again",
    gettext_noop(
        "Collections get answers again: %(percent).1f %% in the last %(minutes)d min. "
        "Too few did for %(lasted)s."
    ),
)
FAST_AGAIN = MESSAGES.register(
    "fast_again",
    gettext_noop("Collections are fast again: %(mean)s on average. They were slow for %(lasted)s."),
)
HIT_AGAIN = MESSAGES.register(
    "hit_again",
    gettext_noop(
        "Reads are hits again: %(percent).1f %% in the last %(minutes)d min. Too few were for %(lasted)s."
    ),
)
FIGURES_AGAIN = MESSAGES.register(
    "figures_again", gettext_noop("Answers have figures again; the alert lasted %(lasted)s.")
)
MOVING_AGAIN = MESSAGES.register(
    "moving_again", gettext_noop("The queue moves again; it was stuck for %(lasted)s.")
)
RESPONDS_AGAIN = MESSAGES.register(
    "responds_again",
    gettext_noop("The collection service responds again; it was down for %(lasted)s."),
)
REPORTS_AGAIN = MESSAGES.register(
    "reports_again", gettext_noop("A worker reports again; the alert lasted %(lasted)s.")
)
SIGNED_AGAIN = MESSAGES.register(
    "signed_again",
    gettext_noop("Webhooks no longer have a wrong signature; the alert lasted %(lasted)s."),
)
# Why there is no verdict.
NO_COLLECTIONS = REASONS.register(
    "no_collections", gettext_noop("No collection got an answer or failed in the last %(minutes)d min.")
)
FEW_COLLECTIONS = REASONS.register(
    "few_collections",
    gettext_noop(
        "Too few collections in the last %(minutes)d min: %(count)d. At least %(minimum)d are needed."
    ),
)
NO_READS = REASONS.register("no_reads", gettext_noop("Nothing was read in the last %(minutes)d min."))
FEW_READS = REASONS.register(
    "few_reads",
    gettext_noop("Too few reads in the last %(minutes)d min: %(count)d. At least %(minimum)d are needed."),
)
NO_EARLIER_READS = REASONS.register(
    "no_earlier_reads", gettext_noop("There are no earlier counts yet; the next evaluation has them.")
)
PROBING = REASONS.register(
    "probing", gettext_noop("The circuit breaker is half-open: the next response decides.")
)
NO_REDIS = REASONS.register("no_redis", gettext_noop("Redis did not respond."))
NOT_EVALUATED = REASONS.register("not_evaluated", gettext_noop("The rule has not been evaluated yet."))
EVALUATION_FAILED = REASONS.register(
    "evaluation_failed", gettext_noop("The evaluation failed; the log of the process says why.")
)
# Why a notice was not delivered.
STATUS = PROBLEMS.register("status", gettext_noop("The receiver responded with the HTTP status %(status)d."))
LATE = PROBLEMS.register("late", gettext_noop("No response in time."))
NO_CONNECTION = PROBLEMS.register("no_connection", gettext_noop("No connection (%(error)s)."))
NOT_ACCEPTED = PROBLEMS.register("not_accepted", gettext_noop("The service did not accept the notice."))
INVALID_ADDRESS = PROBLEMS.register("invalid_address", gettext_noop("The address is not valid."))
TOO_OLD = PROBLEMS.register("too_old", gettext_noop("It could not be delivered for a day."))
NOT_CONFIGURED = PROBLEMS.register("not_configured", gettext_noop("The channel is no longer configured."))
