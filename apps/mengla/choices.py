"""The choices of this app; the values are stored, and shown in the API, as they are written here."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.core.periods import Granularity

ALL_CATEGORIES = "all"  # the API's name for all categories together; the stored value is ""
WARM_UP_TASK_ID = "cache_warmup"


class Action(models.TextChoices):
    """The five data sets of the collection service."""

    HIGH = "high", _("Blue-ocean ranking")
    HOT = "hot", _("Best sellers")
    CHANCE = "chance", _("Rising")
    INDUSTRY_VIEW = "industryViewV2", _("Distribution")
    INDUSTRY_TREND = "industryTrendRange", _("Trend")


GRANULARITIES = (
    (Granularity.DAY.value, _("Day")),
    (Granularity.MONTH.value, _("Month")),
    (Granularity.QUARTER.value, _("Quarter")),
    (Granularity.YEAR.value, _("Year")),
)


class CollectionStatus(models.TextChoices):
    """The status of a collection.

    ::

        PENDING -> DISPATCHED -> SUCCEEDED | EMPTY | FAILED      PENDING -> CANCELLED
                   DISPATCHED -> PENDING (retry)
    """

    PENDING = "PENDING", _("Queued")
    DISPATCHED = "DISPATCHED", _("In flight")
    SUCCEEDED = "SUCCEEDED", _("Succeeded")
    EMPTY = "EMPTY", _("Empty")
    FAILED = "FAILED", _("Failed")
    CANCELLED = "CANCELLED", _("Cancelled")


ACTIVE_STATUSES = (CollectionStatus.PENDING, CollectionStatus.DISPATCHED)
FINAL_STATUSES = (
    CollectionStatus.SUCCEEDED,
    CollectionStatus.EMPTY,
    CollectionStatus.FAILED,
    CollectionStatus.CANCELLED,
)


class Priority(models.IntegerChoices):
    """The order of the queue: the lowest number goes first."""

    READER = 0, _("Reader")
    MANUAL = 10, _("Manual")
    SCHEDULED = 20, _("Scheduled")
    BACKFILL = 30, _("Backfill")


class EmptyReason(models.TextChoices):
    """Why an answer of the collection service has no figures."""

    MISSING_KEY = "missing_key", _("The answer lacks the list")
    ERROR_CODE = "error_code", _("The answer carries an error code")
    NULL_DATA = "null_data", _("The data is null")
    EMPTY_LIST = "empty_list", _("The list is empty")
    ALL_LISTS_EMPTY = "all_lists_empty", _("All lists are empty")
    NO_POINTS = "no_points", _("The trend has no points")
    MISSING_POINT = "missing_point", _("The trend lacks this period")


class AttemptOutcome(models.TextChoices):
    """How one attempt at a collection ended."""

    IN_PROGRESS = "in_progress", _("In progress")
    ANSWERED = "answered", _("Answered")
    ANSWERED_LATE = "answered_late", _("Answered late")  # to an attempt that had ended before
    EMPTY = "empty", _("Empty")
    FAILED = "failed", _("Failed")
    TIMED_OUT = "timed_out", _("Timed out")
    REFUSED = "refused", _("Not accepted")  # by the service; such an attempt does not count
    NOT_SENT = "not_sent", _("Not sent, stored meanwhile")


class CollectionError(models.TextChoices):
    """Why a collection, or one attempt at it, failed."""

    EXECUTION_FAILED = "execution_failed", _("The collection service reported a failure")
    UNREADABLE_PAYLOAD = "unreadable_payload", _("The answer could not be read")
    UNSTORABLE_PAYLOAD = "unstorable_payload", _("The answer could not be stored")
    TIMEOUT = "timeout", _("No answer came in time")
    CONNECT_ERROR = "connect_error", _("The collection service could not be reached")
    SERVICE_ERROR = "service_error", _("The collection service answered with an error")
    RATE_LIMITED = "rate_limited", _("The collection service asked for fewer requests")
    UNAUTHORIZED = "unauthorized", _("The collection service refuses the key")
    REJECTED = "rejected", _("The collection service rejected the request (4xx)")
    UNKNOWN_TASK = "unknown_task", _("The collection service has no task of this name")
    UNKNOWN = "unknown", _("Unknown error")
