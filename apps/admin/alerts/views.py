"""The addresses under ``/api/admin/alerts``."""

from __future__ import annotations

from typing import Any, ClassVar

import pymongo
from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.admin.alerts import evaluation, silences
from apps.admin.alerts.events import list_history
from apps.admin.alerts.selectors import channel_states, evaluated_at, list_alerts, list_rules
from apps.admin.alerts.serializers import (
    AlertCheckSerializer,
    AlertHistorySerializer,
    AlertListSerializer,
    AlertRuleListSerializer,
    AlertTestSerializer,
    EndedSilenceSerializer,
    EndSilenceBodySerializer,
    HistoryQuerySerializer,
    SilenceBodySerializer,
    SilenceSerializer,
)
from apps.admin.alerts.trial import send_test
from apps.admin.choices import AlertRule
from apps.admin.permissions import TO_SILENCE
from apps.auth.permissions import IsAdmin, Needs
from apps.core.api.openapi.facts import answers
from apps.core.api.viewsets import ViewSet
from apps.core.errors import Conflict


@extend_schema(tags=["alerts"])
class AlertViewSet(ViewSet):
    """The alerts, their history and their silences."""

    permission_classes = (IsAdmin,)
    inputs: ClassVar = {
        "history": HistoryQuerySerializer,
        "silence": SilenceBodySerializer,
        "end_silence": EndSilenceBodySerializer,
    }
    changes: ClassVar = {
        "check": Needs(),  # the schedule does the same every minute, and the caller cannot choose the result
        "silence": TO_SILENCE,
        "end_silence": TO_SILENCE,
        "test": TO_SILENCE,
    }

    @extend_schema(
        operation_id="admin_alerts",
        summary="All alerts",
        description="Lists every rule, also when all is well. Checks them first if the workers are late.",
        responses=AlertListSerializer,
    )
    def list(self, request: Request) -> Response:
        """List the alerts."""
        with pymongo.timeout(settings.ALERTS_TIMEOUT_SECONDS):
            evaluation.check_if_late()
            return Response(AlertListSerializer(_current_state()).data)

    @extend_schema(
        operation_id="admin_alerts_rules",
        summary="All rules and channels",
        description="Lists every rule with what its last evaluation found. Evaluates nothing.",
        responses=AlertRuleListSerializer,
    )
    def rules(self, request: Request) -> Response:
        """List the rules."""
        with pymongo.timeout(settings.ALERTS_TIMEOUT_SECONDS):
            found = {"rules": list_rules(), "evaluated_at": evaluated_at(), "channels": channel_states()}
            return Response(AlertRuleListSerializer(found).data)

    @extend_schema(
        operation_id="admin_alerts_history",
        summary="The history of the alerts",
        description="Newest first; the newest 1000 events are kept.",
        parameters=[HistoryQuerySerializer],
        responses=AlertHistorySerializer,
    )
    def history(self, request: Request) -> Response:
        """List the events."""
        query = self.valid_input(request)
        events = list_history(limit=query.validated_data["limit"])
        return Response(AlertHistorySerializer({"events": events}).data)

    @extend_schema(
        operation_id="admin_alerts_check",
        summary="Check all rules now",
        request=None,
        responses={200: AlertCheckSerializer},
    )
    def check(self, request: Request) -> Response:
        """Check now."""
        with pymongo.timeout(settings.ALERTS_TIMEOUT_SECONDS):
            result = evaluation.check_by_hand()
            changes = {"fired": result.fired, "resolved": result.resolved}
            return Response(AlertCheckSerializer(_current_state() | changes).data)

    @extend_schema(
        operation_id="admin_alerts_silence",
        summary="Silence a rule",
        description="The rule is still evaluated, but sends no notices. Replaces an earlier silence.",
        request=SilenceBodySerializer,
        responses={200: SilenceSerializer},
    )
    def silence(self, request: Request) -> Response:
        """Silence a rule."""
        body = self.valid_input(request)
        rule, silenced_by = AlertRule(body.validated_data["rule_name"]), request.user.get_username()
        about = {name: body.validated_data[name] for name in ("action", "reason")}
        minutes = body.validated_data["duration_minutes"]
        until = silences.silence_rule(rule, minutes=minutes, silenced_by=silenced_by, **about)
        silence = {"rule_name": rule.value, "silenced_until": until, "silenced_by": silenced_by, **about}
        return Response(SilenceSerializer(silence).data)

    @extend_schema(
        operation_id="admin_alerts_end_silence",
        summary="End a silence",
        request=EndSilenceBodySerializer,
        responses={200: EndedSilenceSerializer},
    )
    def end_silence(self, request: Request) -> Response:
        """End a silence."""
        body = self.valid_input(request).validated_data
        rule, action = AlertRule(body["rule_name"]), body["action"]
        was_silenced = silences.end_silence(rule, action=action, ended_by=request.user.get_username())
        ended = {"rule_name": rule.value, "action": action, "was_silenced": was_silenced}
        return Response(EndedSilenceSerializer(ended).data)

    @extend_schema(
        operation_id="admin_alerts_test",
        summary="Send a test notice",
        description="Sends it to every channel and waits for the results, for 11 s at most.",
        request=None,
        responses={200: AlertTestSerializer},
    )
    @answers(Conflict)
    def test(self, request: Request) -> Response:
        """Send a test notice."""
        results = send_test(sent_by=request.user.get_username())
        return Response(AlertTestSerializer({"channels": results}).data)


def _current_state() -> dict[str, Any]:
    return {"alerts": list_alerts(), "checked_at": evaluation.last_checked_at()}
