"""Requests and responses of the addresses that delete."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework import serializers

from apps.core.api.serializers import (
    ConfirmationField,
    ExactSerializer,
    StrictBooleanField,
    StrictChoiceField,
    ValuesField,
)
from apps.mengla.maintenance.purge import PurgeTarget


class PurgeSerializer(ExactSerializer):
    """What to delete."""

    examples: ClassVar = {
        "The caches of all processes": {"confirm": True, "targets": ["l1"]},
        "Everything collected": {"confirm": True, "targets": ["mongodb", "redis", "l1"]},
    }

    confirm = ConfirmationField()
    targets = ValuesField(
        child=StrictChoiceField(choices=[target.value for target in PurgeTarget]),
        min_length=1,
        max_length=len(PurgeTarget),
        help_text="mongodb: collected data and the caches; redis: both cache tiers; l1: the first tier.",
    )


class PurgedSerializer(serializers.Serializer[Any]):
    """What was deleted."""

    records = serializers.IntegerField()
    collections = serializers.IntegerField(help_text="Ended collections; those under way continue.")
    sync_tasks = serializers.IntegerField(source="runs", help_text="Ended sync tasks.")
    caches_cleared = serializers.BooleanField(source="are_caches_cleared")
    l1_cleared = serializers.BooleanField(source="is_l1_cleared")
    is_complete = serializers.BooleanField(help_text="False when more is left: repeat the request.")


class RemoveDuplicatesSerializer(ExactSerializer):
    """Whether to delete the duplicates."""

    examples: ClassVar = {"Only count": {"apply": False}}

    apply = StrictBooleanField(required=False, default=False, help_text="When false, they are only counted.")


class DuplicateSerializer(serializers.Serializer[Any]):
    """One duplicate, and the document that is kept."""

    action = serializers.CharField()
    catId = serializers.CharField(source="cat_id")
    dateType = serializers.CharField(source="granularity")
    period = serializers.CharField(source="period_key")
    kept = serializers.CharField(help_text="Key of a document.")
    duplicate = serializers.CharField(help_text="Key of a document.")


class DuplicatesSerializer(serializers.Serializer[Any]):
    """The duplicates that were found, and what was done about them."""

    applied = serializers.BooleanField(source="is_applied")
    groups = serializers.IntegerField(help_text="Queries with more than one document.")
    duplicates = serializers.IntegerField(help_text="Documents beyond the first of their query.")
    deleted = serializers.IntegerField()
    left_alone = serializers.IntegerField(help_text="Not deleted, because they changed during the removal.")
    examples = DuplicateSerializer(many=True, help_text="Of the first 20 groups.")
