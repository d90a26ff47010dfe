"""What is stored of collections, and shown in the language of the user: their failures, and their names.

The collection service's own error texts are stored unchanged.
"""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy, gettext_noop

from apps.categories.selectors import CategoryNames
from apps.core.stored_messages import HISTORY, Message, Messages
from apps.core.time_texts import RANGE_SIGN

ERRORS = Messages("error_message")
_FIGURES = HISTORY.register("figures", gettext_noop("%(data_set)s, %(category)s, %(its)s"))


def figures_name(
    data_set: str | Promise, cat_id: str, start_key: str, end_key: str, names: CategoryNames | None = None
) -> Message:
    """Return what a collection collects, for people: data set, category below its parents, and periods.

    ``names`` are those of the categories, if they were looked up before.
    """
    name: str | Promise = gettext_lazy("All categories")
    if cat_id:
        name = (names or CategoryNames([cat_id])).path(cat_id)
    return _FIGURES(data_set=data_set, category=name, its_period=RANGE_SIGN.join((start_key, end_key)))


# Failures of the request to the service.
UNREACHABLE = ERRORS.register(
    "unreachable", gettext_noop("The collection service could not be reached: %(error)s.")
)
NO_SUCH_TASK = ERRORS.register(
    "no_such_task", gettext_noop("The collection service has no task named %(name)r.")
)
SIMULATOR_REFUSED = ERRORS.register(
    "simulator_refused",
    gettext_noop("COLLECT_SERVICE_URL is a simulator; production refuses its made-up figures."),
)
RATE_LIMITED = ERRORS.register(
    "rate_limited", gettext_noop("The collection service asked for fewer requests (HTTP 429).")
)
# ``reason`` is empty, or a text in brackets with a space before it.
SERVICE_FAILED = ERRORS.register(
    "service_failed", gettext_noop("The collection service answered HTTP %(status)d%(reason)s.")
)
REJECTED = ERRORS.register(
    "rejected", gettext_noop("The collection service rejected the request: HTTP %(status)d%(reason)s.")
)
REPLY_UNREADABLE = ERRORS.register(
    "reply_unreadable", gettext_noop("The response of the collection service could not be read.")
)
REPLY_WITHOUT_TASKS = ERRORS.register(
    "reply_without_tasks", gettext_noop("The response of the collection service has no list of tasks.")
)
REPLY_WITHOUT_ID = ERRORS.register(
    "reply_without_id", gettext_noop("The response of the collection service has no execution id.")
)
UNUSABLE = ERRORS.register("unusable", gettext_noop("The collection is invalid: %(error)s."))
NOT_ACCEPTED = ERRORS.register(
    "not_accepted", gettext_noop("The worker ended before the service accepted the request.")
)

# Failures of the service's answer.
NO_ANSWER = ERRORS.register("no_answer", gettext_noop("No answer came in time."))
FAILED_WITH_STATUS = ERRORS.register(
    "failed_with_status",
    gettext_noop("The execution failed; the collection service reported status %(status)s"),
)
FAILED_WITHOUT_REASON = ERRORS.register(
    "failed_without_reason", gettext_noop("The execution failed; the collection service gave no reason")
)
BODY_EMPTY = ERRORS.register("body_empty", gettext_noop("The answer has an empty body"))
BODY_ENCODED = ERRORS.register(
    "body_encoded", gettext_noop("The answer is compressed in a form that cannot be read: %(coding)s")
)
BODY_TOO_LARGE = ERRORS.register(
    "body_too_large", gettext_noop("The answer is larger than %(count)d bytes when it is decompressed")
)
BODY_DAMAGED = ERRORS.register(
    "body_damaged", gettext_noop("The JSON of the answer (%(count)d bytes) is cut off or damaged")
)
BODY_NO_JSON = ERRORS.register(
    "body_no_json", gettext_noop("The answer is not JSON; it begins with: %(text)s")
)
NO_RESULT = ERRORS.register(
    "no_result", gettext_noop("The execution ended, but its answer has no result: %(detail)s")
)
NO_OBJECT = ERRORS.register(
    "no_object", gettext_noop("%(kind)s instead of an object or a list"), words=["kind"]
)
TOO_WRAPPED = ERRORS.register(
    "too_wrapped", gettext_noop("The result is wrapped more than %(count)d levels deep")
)
TOO_LONG = ERRORS.register("too_long", gettext_noop("A text of %(count)d characters instead of a result"))
NO_JSON = ERRORS.register("no_json", gettext_noop("Text that is not JSON instead of a result: %(text)s"))
NO_DISTRIBUTION = ERRORS.register(
    "no_distribution", gettext_noop("A list instead of the four lists of the distribution")
)
NO_ROWS = ERRORS.register("no_rows", gettext_noop("%(kind)s instead of a list of rows"), words=["kind"])
NO_ROW = ERRORS.register("no_row", gettext_noop("%(kind)s instead of a row"), words=["kind"])
NO_PERIOD = ERRORS.register(
    "no_period",
    gettext_noop("%(count)d of %(total)d trend points have no readable %(granularity)s: %(points)s"),
    words=["granularity"],
)
NOT_WRITABLE = ERRORS.register("not_writable", gettext_noop("The value cannot be written as JSON: %(error)s"))
NOT_STORABLE = ERRORS.register("not_storable", gettext_noop("The data cannot be stored: %(error)s"))
DATABASE_REFUSED = ERRORS.register("database_refused", gettext_noop("The database refused the data"))
RESERVED_NAME = ERRORS.register(
    "reserved_name", gettext_noop("The data uses the name $ref, which MongoDB reserves")
)
