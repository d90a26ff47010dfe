"""What clients get from the addresses of the scheduler."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from django.conf import settings
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.admin.scheduler.services import ScheduleView, Switched
from apps.core.api.serializers import UtcDateTimeField
from apps.sync_tasks.choices import Outcome, RunStatus, Trigger
from apps.sync_tasks.selectors import find_outcome
from apps.sync_tasks.words import ERRORS


class PauseSerializer(serializers.Serializer[Any]):
    """Whether the schedules are paused, and who changed that last."""

    paused = serializers.BooleanField(source="is_set")
    changed_by = serializers.CharField(allow_null=True)
    changed_at = UtcDateTimeField(allow_null=True)


class SwitchedSerializer(PauseSerializer):
    """The same after a request to pause or resume."""

    changed = serializers.BooleanField(
        source="is_changed", help_text="False if it was so already; then nothing was written."
    )

    def to_representation(self, instance: Switched) -> dict[str, Any]:
        """Return the switch, and whether it changed."""
        return super().to_representation({**asdict(instance.pause), "is_changed": instance.is_changed})


class LastRunSerializer(serializers.Serializer[Any]):
    """The last sync task with a schedule's task id, from any trigger."""

    id = serializers.CharField(source="_id")
    status = serializers.ChoiceField(choices=RunStatus.choices)
    outcome = serializers.ChoiceField(choices=Outcome.choices)
    trigger = serializers.ChoiceField(choices=Trigger.choices)
    period = serializers.CharField()
    started_at = UtcDateTimeField()
    finished_at = UtcDateTimeField(allow_null=True)
    error_message = serializers.CharField(help_text="Empty when all went well.")

    def to_representation(self, instance: Mapping[str, Any]) -> dict[str, Any]:
        """Return the run, its error in the reader's language."""
        facts = {"outcome": find_outcome(instance).value, "error_message": ERRORS.shown(instance)}
        return super().to_representation({**instance, **facts})


class LastTaskSerializer(serializers.Serializer[Any]):
    """The last task that the schedule started in the worker cluster."""

    state = serializers.ChoiceField(choices=["succeeded", "failed", "unfinished"])
    started_at = UtcDateTimeField(allow_null=True)
    finished_at = UtcDateTimeField(allow_null=True)


class ScheduleSerializer(serializers.Serializer[ScheduleView]):
    """One schedule."""

    name = serializers.CharField(source="schedule.name")
    cron = serializers.CharField(source="schedule.cron", help_text="In the time zone of the market.")
    is_edited = serializers.BooleanField(
        source="schedule.is_edited",
        help_text="Whether its time was edited in the admin, and differs from the environment.",
    )
    next_run_at = serializers.SerializerMethodField(help_text="In the time zone of the market.")
    obeys_pause = serializers.BooleanField(
        source="schedule.obeys_pause", help_text="False for maintenance, which always runs."
    )
    paused = serializers.BooleanField(source="is_paused")
    last_task = LastTaskSerializer(source="schedule.last_task", allow_null=True)
    last_run = LastRunSerializer(allow_null=True)

    @extend_schema_field(OpenApiTypes.DATETIME)
    def get_next_run_at(self, view: ScheduleView) -> str:
        """Return the instant with the offset of the market's time zone."""
        return view.schedule.next_run_local.isoformat()


class ClusterSerializer(serializers.Serializer[Any]):
    """A running worker cluster, as it reports itself."""

    host = serializers.CharField()
    pid = serializers.IntegerField()
    status = serializers.CharField()
    workers = serializers.IntegerField(source="worker_count")
    uptime_seconds = serializers.FloatField()
    silent_seconds = serializers.FloatField(
        allow_null=True,
        help_text="For how long it has run nothing although a worker is idle; null if unknown.",
    )


class HeartbeatSerializer(serializers.Serializer[Any]):
    """The last heartbeat of a host's workers, written by a task that they ran."""

    host = serializers.CharField()
    beat_at = UtcDateTimeField()
    age_seconds = serializers.FloatField()
    is_stale = serializers.BooleanField()


class SchedulerSerializer(serializers.Serializer[Any]):
    """All schedules, the worker clusters and their heartbeats."""

    pause = PauseSerializer()
    time_zone = serializers.SerializerMethodField(help_text="The time zone of the market.")
    schedules = ScheduleSerializer(many=True)
    clusters = ClusterSerializer(many=True, allow_null=True, help_text="Null when Redis does not respond.")
    heartbeats = HeartbeatSerializer(many=True)

    def get_time_zone(self, _view: Any) -> str:
        """Return the time zone of the market."""
        return str(settings.BUSINESS_TIME_ZONE)
