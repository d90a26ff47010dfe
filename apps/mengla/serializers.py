"""The requests to this app and its responses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers
from rest_framework.exceptions import ParseError

from apps.core.api.parsers import loads_shallow
from apps.core.api.serializers import (
    PageQuerySerializer,
    QuerySerializer,
    ReusingSerializer,
    StrictBooleanField,
    StrictIntegerField,
    UrlBooleanField,
    UrlIntegerField,
)
from apps.core.errors import InvalidInput
from apps.mengla.choices import Action, AttemptOutcome, CollectionStatus
from apps.mengla.queries.freshness import freshness_of
from apps.mengla.reading.read import MAX_WAIT_SECONDS
from apps.mengla.store.attempts import Attempt, attempts_of
from apps.mengla.words import ERRORS
from apps.sync_tasks.responses import WaitingSerializer

_MAX_TEXT = 64
DATE_TYPES = ["day", "month", "quarter", "year"]


class _Text(serializers.CharField):
    """An optional text; null counts as absent. White space stays, so that it makes a period invalid."""

    def __init__(self, **kwargs: Any) -> None:
        options = {
            "required": False,
            "allow_blank": True,
            "allow_null": True,
            "max_length": _MAX_TEXT,
            "trim_whitespace": False,
        }
        super().__init__(**options | kwargs)


class _FiguresSerializer(ReusingSerializer):
    """The parameters that all requests for figures share."""

    dateType = _Text(help_text="day, month, quarter or year; inferred from the form of timest when absent.")
    timest = _Text(help_text="The period: 2025-06-01, 2025-06, 2025-Q2 or 2025, dashes optional.")
    starRange = _Text(help_text="First period of a trend.")
    endRange = _Text(help_text="Last period of a trend.")
    product_id = _Text()

    cat_field = "catId"

    def query_arguments(self, *, action: str | None = None) -> dict[str, Any]:
        """Return the arguments of ``build_query``; call after ``is_valid``."""
        data = self.validated_data
        return {
            "action": action or data["action"],
            "cat_id": data.get(self.cat_field) or "",
            "cat_field": self.cat_field,
            "date_type": data.get("dateType") or "",
            "timest": data.get("timest") or "",
            "start_range": data.get("starRange") or "",
            "end_range": data.get("endRange") or "",
            "product_id": data.get("product_id") or "",
            "extra": data.get("extra") or {},
        }


_WAIT: dict[str, Any] = {
    "required": False,
    "default": 0,
    "min_value": 0,
    "max_value": MAX_WAIT_SECONDS,
    "help_text": "Seconds to wait for a collection.",
}
_REFRESH: dict[str, Any] = {
    "required": False,
    "default": False,
    "help_text": "Skip the caches and collect again.",
}


class _ExtraField(serializers.DictField):
    """Further parameters for the collection service; part of the query's identity."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, allow_null=True, **kwargs)


class _ExtraTextField(serializers.JSONField):
    """The same parameters as JSON text, for a query string."""

    default_error_messages = {"not_an_object": _("Must be a JSON object.")}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, **kwargs)

    def get_value(self, dictionary: Any) -> Any:
        """Return the text; an empty one counts as absent."""
        return dictionary.get(self.field_name) or serializers.empty

    def to_internal_value(self, data: Any) -> Any:
        """Parse the text."""
        try:
            value = loads_shallow(str(data).encode())
        except (ParseError, UnicodeEncodeError):
            self.fail("invalid")
        except InvalidInput as error:
            raise serializers.ValidationError(error.fields) from error
        if not isinstance(value, dict):
            self.fail("not_an_object")
        return value


class FiguresParametersSerializer(QuerySerializer, _FiguresSerializer):
    """The query string of ``GET /mengla/``."""

    cat_field = "primaryCatId"

    primaryCatId = serializers.CharField(
        allow_blank=True,
        max_length=_MAX_TEXT,
        trim_whitespace=False,
        help_text="A catId; empty or all for all categories taken together.",
    )
    timest = _Text(
        required=True,
        allow_blank=False,
        allow_null=False,
        help_text="The period: 2025-06-01, 2025-06, 2025-Q2 or 2025, dashes optional.",
    )
    action = serializers.ChoiceField(
        choices=Action.choices, required=False, default=Action.INDUSTRY_VIEW.value
    )
    wait = UrlIntegerField(**_WAIT)
    refresh = UrlBooleanField(**_REFRESH)
    extra = _ExtraTextField(help_text="Further parameters, as JSON text.")


class FiguresBodySerializer(_FiguresSerializer):
    """The body of the POST addresses whose path names the action."""

    catId = _Text(help_text="A catId; empty or all for all categories taken together.")
    wait = StrictIntegerField(**_WAIT)
    refresh = StrictBooleanField(**_REFRESH)
    extra = _ExtraField()


class FiguresQuerySerializer(FiguresBodySerializer):
    """The body of ``POST /mengla/query``."""

    action = serializers.ChoiceField(choices=Action.choices)


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

    action = serializers.ChoiceField(choices=Action.choices, required=False)
    catId = serializers.CharField(
        required=False,
        allow_blank=True,
        max_length=_MAX_TEXT,
        trim_whitespace=False,
        help_text="A catId; empty or all for all categories taken together.",
    )
    dateType = serializers.CharField(required=False, max_length=_MAX_TEXT, trim_whitespace=False)
    to = serializers.CharField(
        required=False, max_length=_MAX_TEXT, trim_whitespace=False, help_text="Last period."
    )
    empty = UrlBooleanField(required=False, default=None)

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """Add ``from``, which is a keyword in Python."""
        fields = super().get_fields()
        fields["from"] = serializers.CharField(
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
