"""The panel configuration, and what users start from a panel."""

from __future__ import annotations

from typing import Any, ClassVar

import orjson
from django.utils.translation import gettext as _
from rest_framework.request import Request
from rest_framework.response import Response

from apps.auth.permissions import IsAdmin, IsAdminToChange
from apps.compat.base import CompatViewSet
from apps.compat.serializers import RangeSerializer
from apps.core.periods import count_periods
from apps.mengla.run_requests import order_of
from apps.panels import services
from apps.panels.permissions import TO_CHANGE_CONFIG, TO_FILL, TO_RUN_TASKS
from apps.panels.responses import find_config
from apps.panels.serializers import PanelConfigChangeSerializer, PanelConfigSerializer


class PanelConfigViewSet(CompatViewSet):
    """The panel configuration, without the version that it has in our own API."""

    permission_classes = (IsAdminToChange,)
    changes: ClassVar = {"update": TO_CHANGE_CONFIG}
    inputs: ClassVar = {"update": PanelConfigChangeSerializer}

    def retrieve(self, request: Request) -> Response:
        """Return the configuration."""
        return Response(_without_version(orjson.loads(find_config().entry.body)["data"]))

    def update(self, request: Request) -> Response:
        """Change modules, layout or both; returns the new configuration."""
        data = self.valid_input(request).validated_data
        config = services.change_config(
            changed_by=request.user.get_username(),
            modules=data.get("modules", ()),
            layout=data.get("layout"),
            expected_version=data.get("version"),
        )
        return Response(_without_version(PanelConfigSerializer(config).data))


class PanelTaskViewSet(CompatViewSet):
    """Tasks and fills."""

    permission_classes = (IsAdmin,)
    changes: ClassVar = {"run": TO_RUN_TASKS, "fill": TO_FILL}
    inputs: ClassVar = {"fill": RangeSerializer}

    def run(self, request: Request, task_id: str) -> Response:
        """Start a task."""
        started = services.run_task(task_id, order=order_of(request))
        message = _("The task has been started.")
        return Response({"message": message, "task_id": task_id, "sync_task_id": started.run_id})

    def fill(self, request: Request) -> Response:
        """Collect what is missing in a range; without ``catId``, for all categories taken together."""
        wanted = self.valid_input(request)
        start, end = wanted.periods()
        started = services.fill_gaps(
            order=order_of(request), start=start, end=end, selection=wanted.selection()
        )
        given = wanted.validated_data
        return Response(
            {
                "message": _("The fill has been started."),
                "granularity": given["granularity"].value,
                "startDate": given["startDate"],
                "endDate": given["endDate"],
                "periodKeyCount": count_periods(start, end),
                "sync_task_id": started.run_id,
            }
        )


def _without_version(config: Any) -> dict[str, Any]:
    return {name: value for name, value in config.items() if name != "version"}
