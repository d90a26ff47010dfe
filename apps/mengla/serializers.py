"""The requests to this app and its responses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from rest_framework import serializers

from apps.core.api.period_range import PeriodParameterField
from apps.core.api.serializers import (
    PageQuerySerializer,
    StrictChoiceField,
    UrlBooleanField,
)
from apps.mengla.choices import Action, AttemptOutcome, CollectionStatus
from apps.mengla.queries.freshness import freshness_of
from apps.mengla.store.attempts import Attempt, attempts_of
from apps.mengla.words import ERRORS
from apps.sync_tasks.responses import WaitingSerializer

_MAX_TEXT = 64
DATE_TYPES = ["day", "month", "quarter", "year"]


class AttemptSerializer(serializers.Serializer[Any]):
    """One attempt at a collection."""

    started_at = serializers.DateTimeField(allow_null=True, help_text="Null for a late answer.")
    ended_at = serializers.DateTimeField(allow_null=True, help_text="Null while it is in progress.")
    seconds = serializers.FloatField(allow_null=True)
    outcome = serializers.ChoiceField(choices=AttemptOutcome.choices)
    reason = serializers.CharField(
        allow_null=True, help_text="The code of the error, or why the answer was empty."
    )
    message = serializers.CharField(allow_null=True)
    execution_id = serializers.CharField(allow_null=True)

    def to_representation(self, instance: Attempt) -> dict[str, Any]:
        """Return the attempt by name; instants are UTC."""
        return {
            "started_at": instance.started_at,
            "ended_at": instance.ended_at,
            "seconds": instance.seconds,
            "outcome": instance.outcome.value,
            "reason": instance.reason or None,
            "message": instance.message or None,
            "execution_id": instance.execution_id or None,
        }


class CollectionSerializer(serializers.Serializer[Any]):
    """The state of a collection."""

    id = serializers.CharField(source="_id")
    status = serializers.ChoiceField(choices=CollectionStatus.choices)
    action = serializers.ChoiceField(choices=Action.choices)
    catId = serializers.CharField(source="cat_id")
    dateType = serializers.ChoiceField(choices=DATE_TYPES, source="granularity")
    starRange = serializers.CharField(source="start_key")
    endRange = serializers.CharField(source="end_key")
    priority = serializers.IntegerField()
    position = serializers.IntegerField(help_text="How many pending collections are ahead of it.")
    waiting = WaitingSerializer(allow_null=True, help_text="Why it waits; null when it does not.")
    attempts = serializers.IntegerField()
    refusals = serializers.IntegerField(help_text="How often the service did not take it.")
    refused_since = serializers.DateTimeField(
        allow_null=True, help_text="When it first did not take it, since the last failed attempt."
    )
    attempt_log = AttemptSerializer(many=True, help_text="The newest attempts, the newest first.")
    error = serializers.CharField(source="error_code", allow_null=True)
    error_message = serializers.CharField(allow_null=True)
    empty_reason = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    dispatched_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    result = serializers.CharField(
        allow_null=True, help_text="The address of the figures, null until they are stored."
    )

    def to_representation(self, instance: Mapping[str, Any]) -> dict[str, Any]:
        """Return the public fields of the document; instants are UTC."""
        return {
            "id": str(instance["_id"]),
            "status": instance["status"],
            "action": instance["action"],
            "catId": instance["cat_id"],
            "dateType": instance["granularity"],
            "starRange": instance["start_key"],
            "endRange": instance["end_key"],
            "priority": instance["priority"],
            "position": instance["position"],
            "waiting": instance["waiting"],
            "attempts": instance["attempts"],
            "refusals": instance.get("refusals", 0),
            "refused_since": instance.get("refused_since"),
            "attempt_log": AttemptSerializer(attempts_of(instance), many=True).data,
            "error": instance["error_code"] or None,
            "error_message": ERRORS.shown(instance) or None,
            "empty_reason": instance["empty_reason"] or None,
            "created_at": instance["created_at"],
            "dispatched_at": instance["dispatched_at"],
            "finished_at": instance["finished_at"],
            "result": instance["result"],
        }


class CollectionBriefSerializer(serializers.Serializer[Any]):
    """The collection in the response to a miss."""

    id = serializers.CharField()
    status = serializers.ChoiceField(choices=CollectionStatus.choices)
    priority = serializers.IntegerField()
    position = serializers.IntegerField()
    waiting = WaitingSerializer(allow_null=True, help_text="Why it waits; null when it does not.")
    created_at = serializers.DateTimeField()


class CollectingSerializer(serializers.Serializer[Any]):
    """The response to a miss."""

    collecting = serializers.BooleanField()
    collection = CollectionBriefSerializer()


class RecordsQuerySerializer(PageQuerySerializer):
    """The filters of the list of records."""

    examples: ClassVar = {
        "Of a category": {
            "action": "hot",
            "catId": 4200,
            "dateType": "month",
            "from": "2025-01",
            "to": "2025-06",
        },
        "Empty ones": {"empty": True, "limit": 20},
    }

    action = StrictChoiceField(choices=Action.choices, required=False)
    catId = serializers.CharField(
        required=False,
        allow_blank=True,
        max_length=_MAX_TEXT,
        trim_whitespace=False,
        help_text="A catId; empty or all for all categories taken together.",
    )
    dateType = serializers.CharField(required=False, max_length=_MAX_TEXT, trim_whitespace=False)
    to = PeriodParameterField(
        required=False, max_length=_MAX_TEXT, trim_whitespace=False, help_text="Last period."
    )
    empty = UrlBooleanField(required=False, default=None)

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """Add ``from``, which is a keyword in Python."""
        fields = super().get_fields()
        fields["from"] = PeriodParameterField(
            required=False, max_length=_MAX_TEXT, trim_whitespace=False, help_text="First period."
        )
        return fields


class RecordSerializer(serializers.Serializer[Any]):
    """A stored record without its figures."""

    id = serializers.CharField(source="_id")
    action = serializers.ChoiceField(choices=Action.choices)
    catId = serializers.CharField(source="cat_id")
    dateType = serializers.ChoiceField(choices=DATE_TYPES, source="granularity")
    period = serializers.CharField(source="period_key")
    variant = serializers.CharField()
    is_empty = serializers.BooleanField()
    empty_reason = serializers.CharField()
    collected_at = serializers.DateTimeField()
    fresh_until = serializers.DateTimeField()
    provisional = serializers.BooleanField(
        help_text="Collected before the period was over; stale from the end of the period on."
    )
    expires_at = serializers.DateTimeField(source="expired_at")
    collect_duration_ms = serializers.IntegerField(allow_null=True)
    collection_id = serializers.CharField()

    def to_representation(self, instance: Mapping[str, Any]) -> dict[str, Any]:
        """Return the public fields of the document; instants are UTC."""
        freshness = freshness_of(instance)
        facts = {
            **instance,
            "fresh_until": freshness.fresh_until,
            "provisional": freshness.is_provisional,
        }
        return {name: facts[field.source or name] for name, field in self.fields.items()}


class RecordPageSerializer(serializers.Serializer[Any]):
    """A page of records."""

    records = RecordSerializer(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class WebhookReceiptSerializer(serializers.Serializer[Any]):
    """The outcome of a webhook call."""

    status = serializers.CharField()
