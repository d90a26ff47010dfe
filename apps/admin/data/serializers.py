"""What the addresses that delete take and give."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from apps.core.api.serializers import ConfirmationField, StrictBooleanField, StrictChoiceField
from apps.mengla.maintenance.purge import PurgeTarget


class PurgeSerializer(serializers.Serializer[dict[str, Any]]):
    """What shall be emptied."""

    confirm = ConfirmationField()
    targets = serializers.ListField(
        child=StrictChoiceField(choices=[target.value for target in PurgeTarget]),
        min_length=1,
        max_length=len(PurgeTarget),
        help_text="mongodb: what was collected, with the caches; redis: both caches; l1: one of the two.",
    )


class PurgedSerializer(serializers.Serializer[Any]):
    """What was deleted."""

    records = serializers.IntegerField()
    collections = serializers.IntegerField(help_text="Ended ones; what is under way goes on.")
    sync_tasks = serializers.IntegerField(source="runs", help_text="Ended ones.")
    caches_cleared = serializers.BooleanField(source="are_caches_cleared")
    l1_cleared = serializers.BooleanField(source="is_l1_cleared")
    is_complete = serializers.BooleanField(help_text="False: there was too much for one time; repeat it.")


class RemoveDuplicatesSerializer(serializers.Serializer[dict[str, Any]]):
    """Whether they shall be deleted."""

    apply = StrictBooleanField(required=False, default=False, help_text="Otherwise they are only counted.")


class DuplicateSerializer(serializers.Serializer[Any]):
    """One duplicate, and the document that is kept."""

    action = serializers.CharField()
    catId = serializers.CharField(source="cat_id")
    dateType = serializers.CharField(source="granularity")
    period = serializers.CharField(source="period_key")
    kept = serializers.CharField(help_text="Key of a document.")
    duplicate = serializers.CharField(help_text="Key of a document.")


class DuplicatesSerializer(serializers.Serializer[Any]):
    """What was found, and what was done about it."""

    applied = serializers.BooleanField(source="is_applied")
    groups = serializers.IntegerField(help_text="Questions with more than one document.")
    duplicates = serializers.IntegerField(help_text="Documents too many.")
    deleted = serializers.IntegerField()
    left_alone = serializers.IntegerField(help_text="Changed while they were being removed.")
    examples = DuplicateSerializer(many=True, help_text="Of the first 20 groups.")
