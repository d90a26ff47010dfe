"""The request and response bodies of this app."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar, cast

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from apps.core import market_clock
from apps.core.api.serializers import (
    DayField,
    ExactSerializer,
    PageQuerySerializer,
    StrictBooleanField,
    StrictChoiceField,
    UnpaddedTextField,
    UtcDateTimeField,
)
from apps.sync_tasks.choices import Outcome, RunStatus, Trigger, outcome_of
from apps.sync_tasks.progress import Progress
from apps.sync_tasks.responses import WaitingSerializer, waiting_json
from apps.sync_tasks.selectors import Obstacles, failures_of, progress_of, waiting_of
from apps.sync_tasks.words import ERRORS

_MAX_TASK_ID = 40


class SyncTaskQuerySerializer(PageQuerySerializer):
    """The filters of the list of sync tasks."""

    examples: ClassVar = {
        "Of some days": {"from": "2025-06-01", "to": "2025-06-30", "status": "COMPLETED", "limit": 20},
        "Of a task": {
            "task_id": "daily_collect",
            "trigger": "scheduled",
            "outcome": "completed_with_failures",
        },
    }

    status = StrictChoiceField(choices=RunStatus.choices, required=False)
    outcome = StrictChoiceField(choices=Outcome.choices, required=False)
    task_id = UnpaddedTextField(required=False, max_length=_MAX_TASK_ID)
    trigger = StrictChoiceField(choices=Trigger.choices, required=False)
    to = DayField(required=False, help_text="Started on or before this day, in the market's time zone.")

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """Add ``from``, which is a keyword in Python."""
        fields = super().get_fields()
        fields["from"] = DayField(
            required=False, help_text="Started on or after this day, in the market's time zone."
        )
        return fields

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse a reversed range."""
        if "from" in attrs and "to" in attrs and attrs["from"] > attrs["to"]:
            raise serializers.ValidationError({"from": _("Must not be after to.")})
        return attrs

    def list_arguments(self) -> dict[str, Any]:
        """Return the arguments of ``selectors.list_runs``; call after ``is_valid``."""
        data = dict(self.validated_data)
        first, last = data.pop("from", None), data.pop("to", None)
        return data | {
            "started_from": first and market_clock.midnight(first),
            "started_before": last and market_clock.midnight(last + timedelta(days=1)),
        }


class SyncTaskProgressSerializer(serializers.Serializer[Any]):
    """The progress of a sync task."""

    total = serializers.IntegerField()
    completed = serializers.IntegerField()
    failed = serializers.IntegerField()
    empty = serializers.IntegerField()
    cancelled = serializers.IntegerField()
    active = serializers.IntegerField(
        help_text="Not ended yet; a sync task that has ended may still have collections in flight."
    )
    percent = serializers.FloatField(help_text="0 to 100; 100 only when everything has ended.")
    per_minute = serializers.FloatField(help_text="The current rate; the average rate when it has ended.")
    eta_seconds = serializers.IntegerField(
        allow_null=True, help_text="Remaining time; null when it has ended or cannot be estimated."
    )
    in_flight = serializers.IntegerField(help_text="Of the active ones, those that are sent.")
    rate_collections = serializers.IntegerField(
        help_text="Of how many ended collections the rate was measured; 0 when it was not."
    )
    is_own_rate = serializers.BooleanField(
        help_text="Whether they are its own. If not, none of it has ended yet, and they are those of all."
    )


class SyncTaskSerializer(serializers.Serializer[Any]):
    """A sync task."""

    id = serializers.CharField(source="_id")
    task_id = serializers.CharField()
    task_name = serializers.SerializerMethodField(help_text="In the caller's language.")
    status = serializers.ChoiceField(choices=RunStatus.choices)
    outcome = serializers.SerializerMethodField(
        help_text="As status, but a completed sync task with failed collections is completed_with_failures."
    )
    trigger = serializers.ChoiceField(choices=Trigger.choices)
    period = serializers.CharField(help_text="The period as a text: 202506 or 20250601~20250630.")
    progress = serializers.SerializerMethodField()
    waiting = serializers.SerializerMethodField()
    skipped = serializers.DictField(
        child=serializers.IntegerField(), help_text="How many collections were skipped, by reason."
    )
    started_at = UtcDateTimeField()
    finished_at = UtcDateTimeField(allow_null=True)
    error_message = serializers.SerializerMethodField(
        help_text="Why it failed or ended early; null when all went well."
    )
    requested_by = serializers.CharField()
    retry_of = serializers.SerializerMethodField(
        help_text="The id of the sync task that this one retries; null when it is no retry."
    )

    def get_task_name(self, run: Mapping[str, Any]) -> str:
        """Return the name of the task, which is stored in English."""
        name: str = run["name"]
        return gettext(name) if name else ""

    @extend_schema_field(serializers.ChoiceField(choices=Outcome.choices))
    def get_outcome(self, run: Mapping[str, Any]) -> str:
        """Return the outcome."""
        return outcome_of(run["status"], failed=self._progress_of(run).failed).value

    @extend_schema_field(SyncTaskProgressSerializer)
    def get_progress(self, run: Mapping[str, Any]) -> Any:
        """Return the progress: from the totals if they are stored, else counted now."""
        return SyncTaskProgressSerializer(self._progress_of(run)).data

    def _progress_of(self, run: Mapping[str, Any]) -> Progress:
        """Return the progress, counted once for all fields of a row."""
        known: dict[Any, Progress] = cast("dict[str, Any]", self.context).setdefault("progress", {})
        if run["_id"] not in known:
            known[run["_id"]] = progress_of(run)
        return known[run["_id"]]

    @extend_schema_field(WaitingSerializer(allow_null=True))
    def get_waiting(self, run: Mapping[str, Any]) -> Any:
        """Return what holds back all running sync tasks at present, null when nothing does."""
        # Every row of a list has the same context.
        context = cast("dict[str, Any]", self.context)
        obstacles: Obstacles = context.setdefault("obstacles", Obstacles())
        return waiting_json(obstacles.of(run))

    def get_error_message(self, run: Mapping[str, Any]) -> str | None:
        """Return why it failed or ended early, None when all went well."""
        return ERRORS.shown(run) or None

    def get_retry_of(self, run: Mapping[str, Any]) -> str | None:
        """Return the id of the run that this one retries, None when it is not a retry."""
        return run["retry_of"] or None


class SyncTaskFailureSerializer(serializers.Serializer[Any]):
    """A collection that failed, and why."""

    collection_id = serializers.CharField()
    action = serializers.CharField()
    catId = serializers.CharField(source="cat_id")
    dateType = serializers.CharField()
    period = serializers.CharField()
    error = serializers.CharField()
    message = serializers.CharField()
    attempts = serializers.IntegerField()


class SyncTaskDetailSerializer(SyncTaskSerializer):
    """A sync task with the first of its failures."""

    failures = serializers.SerializerMethodField()

    @extend_schema_field(WaitingSerializer(allow_null=True))
    def get_waiting(self, run: Mapping[str, Any]) -> Any:
        """Return why the sync task makes no progress at present, null when it does."""
        return waiting_json(waiting_of(run))

    @extend_schema_field(SyncTaskFailureSerializer(many=True))
    def get_failures(self, run: Mapping[str, Any]) -> Any:
        """Look up the first failures."""
        return SyncTaskFailureSerializer(failures_of(run), many=True).data


@extend_schema_serializer(many=False)
class SyncTaskPageSerializer(serializers.Serializer[Any]):
    """A page of sync tasks."""

    tasks = SyncTaskSerializer(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class SyncTasksTodaySerializer(serializers.Serializer[Any]):
    """The sync tasks of today."""

    tasks = SyncTaskSerializer(many=True)


class DeletionSerializer(ExactSerializer):
    """What is deleted besides the sync task."""

    examples: ClassVar = {"With its records": {"delete_data": True}}

    delete_data = StrictBooleanField(
        required=False, default=False, help_text="Delete the records that only it wrote, too."
    )


class DeletedSyncTaskSerializer(serializers.Serializer[Any]):
    """A deleted sync task."""

    id = serializers.CharField()
    deleted = serializers.BooleanField()
    records_deleted = serializers.IntegerField()


class RetriedSyncTaskSerializer(serializers.Serializer[Any]):
    """The sync task that collects again what failed in another one."""

    sync_task_id = serializers.CharField()
    retry_of = serializers.CharField(help_text="The id of the other one.")
