"""The request and response bodies of this app."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from apps.core.api.openapi.components import NamedSchema
from apps.core.api.openapi.rules import any_of
from apps.core.api.openapi.text_patterns import trimmed
from apps.core.api.serializers import (
    MAX_WHOLE,
    ExactSerializer,
    ObjectField,
    StrictBooleanField,
    StrictChoiceField,
    StrictIntegerField,
    StrictTextField,
    UtcDateTimeField,
    ValuesField,
)
from apps.mengla.run_requests import CollectRangeSerializer
from apps.panels.choices import DefaultPeriod, ModuleId
from apps.panels.config import NAME_MAX_LENGTH, ORDER_MAX
from apps.panels.selectors import TaskView
from apps.sync_tasks.choices import Outcome, RunStatus, Trigger, outcome_of
from apps.sync_tasks.words import ERRORS

_MAX_TEXT = 64
_MAX_LIST = 20
_MODULE_ID = NamedSchema("ModuleId", {"type": "string", "enum": [module.value for module in ModuleId]})


# --- The configuration ----------------------------------------------------------------------------


class PanelModuleSerializer(serializers.Serializer[Any]):
    """One module of the panel."""

    id = serializers.CharField()
    name = serializers.CharField()
    enabled = serializers.BooleanField(source="is_enabled")
    order = serializers.IntegerField()
    props = serializers.DictField(help_text="For the client; not interpreted here.")


class PanelLayoutSerializer(serializers.Serializer[Any]):
    """The settings of the whole panel."""

    defaultPeriod = serializers.ChoiceField(choices=DefaultPeriod.choices, source="default_period")
    showRankPeriodSelector = serializers.BooleanField(source="shows_rank_period_selector")


class PanelConfigSerializer(serializers.Serializer[Any]):
    """The configuration of the panel."""

    modules = PanelModuleSerializer(many=True, help_text="In their order.")
    layout = PanelLayoutSerializer()
    version = serializers.IntegerField(help_text="Goes up by one with every change.")


# `config.py` checks these, together with what one module owes to the others; here they are only described.
class _ModuleIdField(StrictTextField):
    openapi_schema = _MODULE_ID


class _ModuleNameField(StrictTextField):
    @property
    def openapi_pattern(self) -> str:
        return trimmed(1, NAME_MAX_LENGTH)


class _ModuleOrderField(StrictIntegerField):
    openapi_bounds: ClassVar = {"minimum": 0, "maximum": ORDER_MAX}


class PanelModuleChangeSerializer(ExactSerializer):
    """A change of one module; fields that are not sent stay as they are."""

    id = _ModuleIdField(max_length=_MAX_TEXT)
    name = _ModuleNameField(required=False, max_length=_MAX_TEXT, trim_whitespace=True)
    enabled = StrictBooleanField(required=False, source="is_enabled")
    order = _ModuleOrderField(required=False)
    props = ObjectField(required=False)


class PanelLayoutChangeSerializer(ExactSerializer):
    """A change of the layout; fields that are not sent stay as they are."""

    defaultPeriod = StrictChoiceField(required=False, choices=DefaultPeriod.choices, source="default_period")
    showRankPeriodSelector = StrictBooleanField(required=False, source="shows_rank_period_selector")


class PanelConfigChangeSerializer(ExactSerializer):
    """A change of the modules, of the layout, or of both."""

    needs_any: ClassVar[bool] = True
    openapi_rules: ClassVar = [any_of({"required": ["modules"]}, {"required": ["layout"]})]
    examples: ClassVar = {
        "The layout": {"layout": {"defaultPeriod": "month", "showRankPeriodSelector": True}},
        "A module": {"modules": [{"id": "hot", "name": "Best sellers", "enabled": False}]},
    }

    modules: serializers.ListSerializer[Any] = serializers.ListSerializer(
        child=PanelModuleChangeSerializer(),
        required=False,
        allow_empty=False,
        min_length=1,
        max_length=_MAX_LIST,
        error_messages={"not_a_list": ValuesField.default_error_messages["not_a_list"]},
    )
    layout = PanelLayoutChangeSerializer(required=False)
    version = StrictIntegerField(
        required=False,
        min_value=1,
        max_value=MAX_WHOLE,
        help_text="The version that the change expects; any when absent.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse a change that has neither modules nor layout."""
        if not {"modules", "layout"} & set(attrs):
            raise serializers.ValidationError(_("modules, layout or both are required."))
        return attrs


# --- The tasks ------------------------------------------------------------------------------------


class PanelTaskRunSerializer(serializers.Serializer[Any]):
    """The newest run of a panel task; `/api/sync-tasks/{id}` has the details."""

    id = serializers.CharField(source="_id")
    status = serializers.ChoiceField(choices=RunStatus.choices)
    outcome = serializers.ChoiceField(choices=Outcome.choices)
    trigger = serializers.ChoiceField(choices=Trigger.choices)
    period = serializers.CharField()
    requested_by = serializers.CharField()
    started_at = UtcDateTimeField()
    finished_at = UtcDateTimeField(allow_null=True)
    error_message = serializers.CharField(allow_null=True)
    percent = serializers.FloatField(help_text="0 to 100; 100 only when everything has ended.")
    failed = serializers.IntegerField(help_text="How many of its collections failed.")


class PanelTaskSerializer(serializers.Serializer[Any]):
    """A task that can be started."""

    id = serializers.CharField()
    name = serializers.CharField()
    description = serializers.CharField()
    last_run = PanelTaskRunSerializer(allow_null=True)

    def to_representation(self, instance: TaskView) -> dict[str, Any]:
        """Return the task with its newest run."""
        task = instance.task
        facts = {"id": task.id, "name": task.name, "description": task.description}
        return facts | {"last_run": self._last_run(instance)}

    def _last_run(self, view: TaskView) -> Mapping[str, Any] | None:
        if view.run is None or view.progress is None:
            return None
        failed = view.progress.failed
        progress = {
            "percent": view.progress.percent,
            "failed": failed,
            "outcome": outcome_of(view.run["status"], failed=failed).value,
        }
        run = {**view.run, **progress, "error_message": ERRORS.shown(view.run) or None}
        return PanelTaskRunSerializer(run).data


class PanelTaskListSerializer(serializers.Serializer[Any]):
    """The panel tasks."""

    tasks = PanelTaskSerializer(many=True)


class StartedPanelTaskSerializer(serializers.Serializer[Any]):
    """The sync task that was started."""

    sync_task_id = serializers.CharField()
    task_id = serializers.CharField()


class FillSerializer(CollectRangeSerializer):
    """The gaps to fill."""
