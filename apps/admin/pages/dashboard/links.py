"""Where the numbers of the dashboard lead: to the list of what they count, if the user may see it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlencode

from django.http import HttpRequest
from django.urls import reverse

from apps.core.admin_base.rights import may_on


class _Target(NamedTuple):
    """An address, and what the user must be allowed to do with the rows of which model."""

    url_name: str
    model: str
    verb: str = "view"


_TARGETS: Mapping[str, _Target] = {
    "collections": _Target("admin:mengla_collection_changelist", "mengla.collection"),
    "runs": _Target("admin:sync_tasks_synctask_changelist", "sync_tasks.synctask"),
    "run": _Target("admin:sync_tasks_synctask_change", "sync_tasks.synctask"),
    "run_now": _Target("admin:collector_run_task", "sync_tasks.synctask", "change"),
    "schedules": _Target("admin:django_q_schedule_changelist", "django_q.schedule"),
    "schedule": _Target("admin:django_q_schedule_change", "django_q.schedule"),
    "schedule_operation": _Target("admin:django_q_schedule_operation", "django_q.schedule", "change"),
    "alert": _Target("admin:collector_alert_rule", "collector_admin.alert"),
    "succeeded_messages": _Target("admin:django_q_success_changelist", "django_q.success"),
    "failed_messages": _Target("admin:django_q_failure_changelist", "django_q.failure"),
    "diagnostics": _Target("admin:collector_diagnostics", "mengla.collection"),
}


class Links:
    """The addresses that one user may follow; without a request, none."""

    def __init__(self, request: HttpRequest | None) -> None:
        self._request = request
        self._allowed: dict[tuple[str, str], bool] = {}

    def to(self, where: str, *keys: str, **query: str | int) -> str:
        """Return the address of a target with these filters; "" if the user may not see it."""
        target = _TARGETS[where]
        if not self._may(target.verb, target.model):
            return ""
        address = reverse(target.url_name, args=keys)
        return f"{address}?{urlencode(query)}" if query else address

    def _may(self, verb: str, model: str) -> bool:
        if self._request is None:
            return False
        if (verb, model) not in self._allowed:
            self._allowed[verb, model] = may_on(self._request, verb, model)
        return self._allowed[verb, model]
