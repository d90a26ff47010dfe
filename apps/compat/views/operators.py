"""What operators watch and switch: schedules, health, counts, caches, breakers, alerts, the purge."""

from __future__ import annotations

from typing import Any, ClassVar

from django.utils.translation import gettext as _
from rest_framework.request import Request
from rest_framework.response import Response

from apps.admin.alerts.silences import silence_rule
from apps.admin.caches.services import read_cache_stats
from apps.admin.choices import AlertRule
from apps.admin.data.serializers import PurgeSerializer
from apps.admin.metrics.summary import read_metrics
from apps.admin.permissions import TO_PAUSE, TO_PURGE, TO_SILENCE
from apps.admin.scheduler.services import pause_scheduler, read_scheduler, resume_scheduler
from apps.auth.permissions import IsAdmin
from apps.compat.base import CompatViewSet
from apps.compat.health import collect_health
from apps.compat.serializers import SilenceSerializer
from apps.compat.shapes import breakers_shape, cache_shape, metrics_shape, scheduler_shape
from apps.core import market_clock
from apps.mengla.dispatch.breaker_control import read_breaker
from apps.mengla.maintenance.purge import Purged, PurgeTarget, purge
from apps.sync_tasks.choices import RunStatus
from apps.sync_tasks.selectors import count_by_status

_PURGE_SECONDS = 20.0


class SchedulerViewSet(CompatViewSet):
    """The schedules."""

    permission_classes = (IsAdmin,)
    changes: ClassVar = {"pause": TO_PAUSE, "resume": TO_PAUSE}

    def status(self, request: Request) -> Response:
        """Show the schedules."""
        running = count_by_status()[RunStatus.RUNNING.value]
        return Response(scheduler_shape(read_scheduler(), running_count=running))

    def pause(self, request: Request) -> Response:
        """Pause the schedules."""
        pause_scheduler(paused_by=request.user.get_username())
        return Response({"message": _("The schedules are paused."), "paused": True})

    def resume(self, request: Request) -> Response:
        """Resume the schedules."""
        resume_scheduler(resumed_by=request.user.get_username())
        return Response({"message": _("The schedules run again."), "resumed": True})


class WatchingViewSet(CompatViewSet):
    """The state of the collecting, of the caches and of the breaker; counts."""

    permission_classes = (IsAdmin,)

    def health(self, request: Request) -> Response:
        """Report on the collecting."""
        return Response(collect_health(market_clock.today()))

    def metrics(self, request: Request) -> Response:
        """Return the counts of today."""
        return Response(metrics_shape(read_metrics(days=1)["total"]))

    def cache(self, request: Request) -> Response:
        """Return what the caches have answered today."""
        return Response(cache_shape(read_cache_stats()))

    def breakers(self, request: Request) -> Response:
        """Show the breaker of the collection service, once for each action."""
        return Response(breakers_shape(read_breaker()))


class OperationViewSet(CompatViewSet):
    """Silences and deletions."""

    permission_classes = (IsAdmin,)
    changes: ClassVar = {"silence": TO_SILENCE, "purge": TO_PURGE}
    inputs: ClassVar = {"silence": SilenceSerializer, "purge": PurgeSerializer}

    def silence(self, request: Request) -> Response:
        """Silence a rule, for an hour if the body does not say how long."""
        wanted = self.valid_input(request).validated_data
        rule, minutes = AlertRule(wanted["rule_name"]), wanted["duration_minutes"]
        silence_rule(rule, minutes=minutes, silenced_by=request.user.get_username())
        facts = {"rule": rule.label, "minutes": minutes}
        return Response({"message": _("“%(rule)s” is silenced for %(minutes)d minutes.") % facts})

    def purge(self, request: Request) -> Response:
        """Delete the targets."""
        wanted = self.valid_input(request).validated_data
        targets = {PurgeTarget(name) for name in wanted["targets"]}
        purged = purge(targets=targets, purged_by=request.user.get_username(), max_seconds=_PURGE_SECONDS)
        message = _("Purged.") if purged.is_complete else _("More is left: repeat the request.")
        results = {target.value: _result(target, purged) for target in sorted(targets)}
        return Response({"message": message, "results": results})


def _result(target: PurgeTarget, purged: Purged) -> dict[str, Any]:
    if target is not PurgeTarget.MONGODB:
        return {"cleared": True}
    return {
        "cleared": purged.is_complete,
        "records": purged.records,
        "collections": purged.collections,
        "sync_tasks": purged.runs,
    }
