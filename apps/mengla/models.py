"""The models of the market figures: records, and the collections that fetch them.

Only ``ingest/records.py`` writes records and only ``queue`` writes collections. Both use conditional PyMongo
updates, because the ORM of this backend has no upsert and no find-and-update.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django_mongodb_backend.fields import ArrayField, ObjectIdAutoField

from apps.categories.selectors import CategoryNames
from apps.core.periods import Granularity
from apps.core.stored_messages import Message
from apps.mengla.choices import Action, CollectionError, CollectionStatus, EmptyReason, Priority
from apps.mengla.words import figures_name

CATEGORY_INDEX = "record_by_category"
QUEUE_INDEX = "collection_queue"
TURNS_INDEX = "collection_turns"
CALLERS_INDEX = "collection_callers"
RUNS_INDEX = "collection_runs"
RUN_PACE_INDEX = "collection_run_pace"
RUN_GRID_INDEX = "collection_run_grid"
IDENTITY_INDEX = "collection_identity"
KIND_INDEX = "collection_kind"
ANSWERED_INDEX = "collection_answered"
EXPIRY_INDEX = "collection_expiry"  # on finished_at alone: migration 0002 creates it
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# What readers wait for: few documents, so its indexes cost all others nothing.
_WAITING_READERS = Q(status=CollectionStatus.PENDING.value, priority=Priority.READER.value)
GRANULARITY_CHOICES = [(granularity.value, granularity.value) for granularity in Granularity]
# All values of the first three fields of the index ``record_kind``: a filter that excludes no record.
ANY_KIND: dict[str, list[Any]] = {
    "action": list(Action.values),
    "granularity": [granularity.value for granularity in Granularity],
    "is_empty": [False, True],
}
# The same for collections and the index ``collection_kind``.
ANY_COLLECTION: dict[str, list[Any]] = {
    "status": list(CollectionStatus.values),
    "action": list(Action.values),
    "priority": list(Priority.values),
}


class Record(models.Model):
    """The stored figures of one action, category, granularity and period (and variant).

    The key is ``action:category:granularity:period_key[:variant]``; a trend is stored as one record per
    point. A TTL index removes a record when its ``expired_at`` has passed.
    """

    id = models.CharField(_("key"), primary_key=True, max_length=200, db_column="_id")
    action = models.CharField(_("data set"), max_length=32, choices=Action.choices)
    cat_id = models.CharField(_("category"), max_length=32, blank=True)
    granularity = models.CharField(_("granularity"), max_length=8, choices=GRANULARITY_CHOICES)
    period_key = models.CharField(_("period"), max_length=8)
    variant = models.CharField(_("variant"), max_length=16, blank=True)
    data = models.JSONField(_("figures"), null=True)
    data_hash = models.CharField(max_length=64, blank=True)
    is_empty = models.BooleanField(_("is empty"), default=False)
    empty_reason = models.CharField(_("empty reason"), max_length=32, blank=True, choices=EmptyReason.choices)
    collected_at = models.DateTimeField(_("collected at"))
    # The record is stale from then on, or earlier if it is provisional: only queries/freshness.py reads this.
    # An empty answer does not replace figures, but moves this forward and notes when (renewed_at).
    fresh_until = models.DateTimeField(_("fresh until"))
    renewed_at = models.DateTimeField(null=True)
    collect_duration_ms = models.BigIntegerField(_("collection duration (ms)"), null=True)
    collection_id = models.CharField(max_length=24, blank=True)
    # The runs that requested the last write of the figures, and whether a reader has ever requested them.
    run_ids = ArrayField(models.CharField(max_length=24), default=list, blank=True)
    has_reader = models.BooleanField(default=False)
    created_at = models.DateTimeField(_("created at"))
    updated_at = models.DateTimeField(_("updated at"))
    expired_at = models.DateTimeField(_("kept until"))

    class Meta:
        db_table = "mengla_data"
        verbose_name = _("record")
        verbose_name_plural = _("records")
        indexes = [
            # The fields after "-id", here and below, let MongoDB filter without reading the records.
            models.Index(
                fields=["-updated_at", "-id", "action", "granularity", "is_empty"], name="record_newest"
            ),
            # For lists filtered by any of the first three fields: a filter with all values of the others
            # (ANY_KIND) merges a few ranges, which are already sorted.
            models.Index(
                fields=["action", "granularity", "is_empty", "-updated_at", "-id", "period_key"],
                name="record_kind",
            ),
            models.Index(
                fields=["cat_id", "-updated_at", "-id", "granularity", "period_key", "action", "is_empty"],
                name=CATEGORY_INDEX,
            ),
            models.Index(
                fields=["granularity", "period_key", "-updated_at", "-id", "action", "is_empty"],
                name="record_period",
            ),
            models.Index(fields=["run_ids"], name="record_runs"),
        ]

    # A list sets the names, so that they are looked up once; the page of the record sets its title.
    category_names: CategoryNames | None = None
    title = ""

    def __str__(self) -> str:
        return self.title or self.id

    def history_name(self) -> Message:
        """Return which figures it has, for people."""
        data_set = dict(Action.choices).get(self.action, self.action)
        return figures_name(data_set, self.cat_id, self.period_key, self.period_key, self.category_names)


class Collection(models.Model):
    """One request to the collection service, from enqueueing to its end; these documents are the queue.

    ``active_key`` holds the identity while the status is not final, and its unique index ensures the single
    flight: the same query is never under way twice, on any host. ``slot`` is set while DISPATCHED, and its
    unique index limits the number of requests in flight.
    """

    id = ObjectIdAutoField(primary_key=True)
    action = models.CharField(_("data set"), max_length=32, choices=Action.choices)
    cat_id = models.CharField(_("category"), max_length=32, blank=True)
    granularity = models.CharField(_("granularity"), max_length=8, choices=GRANULARITY_CHOICES)
    start_key = models.CharField(_("first period"), max_length=8)
    end_key = models.CharField(_("last period"), max_length=8)
    product_id = models.CharField(_("product"), max_length=64, blank=True)
    extra = models.JSONField(_("extra parameters"), default=dict)
    identity = models.CharField(_("query"), max_length=220)
    active_key = models.CharField(max_length=220, null=True)  # noqa: DJ001 - null is outside the index
    is_forced = models.BooleanField(_("forced"), default=False)
    priority = models.IntegerField(_("priority"), choices=Priority.choices)
    status = models.CharField(
        _("status"), max_length=16, choices=CollectionStatus.choices, default=CollectionStatus.PENDING
    )
    attempts = models.IntegerField(_("attempts"), default=0)
    # How often the service did not take it in all, and since when without an attempt in between.
    refusals = models.IntegerField(_("refusals"), default=0)
    refused_since = models.DateTimeField(_("refused since"), null=True)
    # The attempt is the probe of a half-open breaker; and whether it has failed as one before.
    is_probe = models.BooleanField(default=False)
    has_failed_as_probe = models.BooleanField(default=False)
    not_before = models.DateTimeField(_("not before"))
    lease_until = models.DateTimeField(_("answer expected until"), null=True)
    attempt_token = models.CharField(max_length=64, blank=True)
    past_tokens = ArrayField(models.CharField(max_length=64), default=list, blank=True)
    # The executions of earlier attempts, each after the token of its attempt and a space.
    past_executions = ArrayField(models.CharField(max_length=193), default=list, blank=True)
    # Text, because the partial unique index covers one BSON type, and integers have two (int and long).
    slot = models.CharField(max_length=8, null=True)  # noqa: DJ001 - null is outside the index
    # The newest attempts that have ended, the oldest first: see queue/attempt_log.py.
    attempt_log = models.JSONField(default=list)
    execution_id = models.CharField(_("execution"), max_length=128, blank=True)
    run_ids = ArrayField(
        models.CharField(max_length=24), verbose_name=_("sync tasks"), default=list, blank=True
    )
    # A reader requested it, so it stays when the runs that requested it too are cancelled or deleted.
    has_reader = models.BooleanField(_("requested by a reader"), default=False)
    requested_by = models.CharField(_("requested by"), max_length=160, blank=True)
    # Of a reader's collection: the key of the caller, for whom it counts, and its place (queue/turns.py).
    caller = models.CharField(max_length=160, blank=True)
    place = models.CharField(max_length=32, blank=True)
    error_code = models.CharField(_("error"), max_length=32, blank=True, choices=CollectionError.choices)
    error_message = models.CharField(_("error message"), max_length=500, blank=True)
    error_message_parts = models.JSONField(null=True)
    empty_reason = models.CharField(_("empty reason"), max_length=32, blank=True, choices=EmptyReason.choices)
    # True from before the answer is stored until the caches are notified.
    is_cache_pending = models.BooleanField(default=False)
    created_at = models.DateTimeField(_("created at"))
    dispatched_at = models.DateTimeField(_("dispatched at"), null=True)
    finished_at = models.DateTimeField(_("finished at"), null=True)
    updated_at = models.DateTimeField(_("updated at"))

    class Meta:
        db_table = "mengla_collections"
        verbose_name = _("collection")
        verbose_name_plural = _("collections")
        constraints = [
            models.UniqueConstraint(fields=["active_key"], name="collection_single_flight"),
            models.UniqueConstraint(fields=["slot"], name="collection_slot"),
        ]
        indexes = [
            models.Index(fields=["status", "priority", "created_at"], name=QUEUE_INDEX),
            models.Index(
                fields=["status", "priority", "place"], condition=_WAITING_READERS, name=TURNS_INDEX
            ),
            models.Index(
                fields=["caller", "status", "priority", "place"],
                condition=_WAITING_READERS,
                name=CALLERS_INDEX,
            ),
            models.Index(fields=["status", "not_before"], name="collection_due"),
            models.Index(fields=["status", "lease_until"], name="collection_lease"),
            models.Index(fields=["identity", "-created_at"], name=IDENTITY_INDEX),
            models.Index(fields=["execution_id"], name="collection_execution"),
            models.Index(fields=["run_ids", "status"], name=RUNS_INDEX),
            models.Index(fields=["run_ids", "-finished_at"], name=RUN_PACE_INDEX),
            # For the collections of a run, filtered by any of these fields; see collection_kind below.
            models.Index(
                fields=[
                    "run_ids",
                    "status",
                    "action",
                    "-id",
                    "priority",
                    "cat_id",
                    "error_code",
                    "empty_reason",
                ],
                name=RUN_GRID_INDEX,
            ),
            # The collections that the service answered; without a request there is no execution id.
            models.Index(
                fields=["action", "-finished_at", "status"],
                condition=Q(
                    status__in=[CollectionStatus.SUCCEEDED.value, CollectionStatus.EMPTY.value],
                    execution_id__gt="",
                ),
                name=ANSWERED_INDEX,
            ),
            # Counts how the collections of a day ended; those under way need no key in it.
            models.Index(
                fields=["action", "status", "finished_at"],
                condition=Q(finished_at__gt=EPOCH),
                name="collection_ended",
            ),
            # For lists filtered by any of the first three fields, as the index record_kind of the records.
            models.Index(fields=["status", "action", "priority", "-id"], name=KIND_INDEX),
            models.Index(
                fields=["error_code", "action", "priority", "-id"],
                condition=Q(status=CollectionStatus.FAILED.value),
                name="collection_failed",
            ),
            models.Index(
                fields=["is_cache_pending"],
                condition=Q(is_cache_pending=True),
                name="collection_cache_pending",
            ),
        ]

    # A list sets the names, so that they are looked up once; the page of the collection sets its title.
    category_names: CategoryNames | None = None
    title = ""

    def __str__(self) -> str:
        return self.title or self.identity

    def history_name(self) -> Message:
        """Return what it collects, for people."""
        data_set = dict(Action.choices).get(self.action, self.action)
        return figures_name(data_set, self.cat_id, self.start_key, self.end_key, self.category_names)
