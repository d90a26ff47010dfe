"""The OpenAPI document: its title, its sections in the order of docs/API.md, and the names of its values."""

from __future__ import annotations

from typing import Any

from apps.core.api.openapi.period_schemas import PERIOD
from config.version import VERSION

_TAGS = {
    "api": "The first address: what is here.",
    "auth": "Log in, and manage API tokens.",
    "categories": "The category tree, as imported.",
    "figures": "Figures, the collections that bring them, and the stored records.",
    "panels": "The configuration of a client's dashboard, and the tasks that collect its figures.",
    "sync-tasks": "Runs, which collect many figures: started by a schedule, an operator or the API.",
    "metrics": "What was read and collected, counted by day, and how long it took.",
    "operations": "For operators: coverage, runs, caches, the circuit breaker, schedules, deletions, health.",
    "alerts": "The alert rules: their states, history, silences and channels.",
    "webhook": "For the collection service only.",
}
_DESCRIPTION = """\
Ozon market figures: rankings, distributions and trends by category and period.

Every response is JSON in an envelope: `success`, `data` and `message`, or `success`, `error`, `message` and
`detail`. An unknown name in a request is an error. Instants are ISO 8601 with a time zone; days and periods
are in the time zone Asia/Shanghai. A miss is answered with 202 and the address of the collection: request the
figures again after `Retry-After` seconds, or use `wait`.
"""
_CAT_ID = {
    "oneOf": [
        {"type": "string", "pattern": "^([1-9][0-9]{0,15}|all)?$"},
        {"type": "integer", "minimum": 0, "maximum": 9_999_999_999_999_999},
    ],
    "description": (
        "The id of a category: a whole number in the category tree, its digits as a text elsewhere. Requests "
        "take both, so any id that was returned can be sent. Empty or `all`: all categories taken together. "
        "0: none, in catId2 and catId3."
    ),
    "example": 4200,
}

_GRANULARITY = {
    "type": "string",
    "enum": ["day", "month", "quarter", "year"],
    "description": "The length of a period. Requests may use capitals, and QUARTERLY_FOR_YEAR for quarter.",
}

# The values that have one type wherever they are, with the names of their fields and of lists of them.
VALUES: dict[str, dict[str, Any]] = {
    "CatId": {
        "schema": _CAT_ID,
        "takes_empty": True,
        "names": frozenset({"catId", "primaryCatId", "catId1", "catId2", "catId3"}),
        "lists": frozenset({"catIds"}),
    },
    "Period": {
        "schema": PERIOD.schema,
        "names": frozenset({"timest", "starRange", "endRange", "startDate", "endDate"}),
        "lists": frozenset(),
    },
    "Granularity": {
        "schema": _GRANULARITY,
        "names": frozenset({"dateType", "granularity"}),
        "lists": frozenset({"granularities"}),
    },
}
SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "MengLa Collector",
    "DESCRIPTION": _DESCRIPTION,
    "VERSION": VERSION,
    "OAS_VERSION": "3.1.1",
    "SERVERS": [{"url": "/", "description": "The host that serves this document."}],
    "TAGS": [{"name": name, "description": text} for name, text in _TAGS.items()],
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "ActionEnum": "apps.mengla.choices.Action",
        "AlertRuleEnum": "apps.admin.choices.AlertRule",
        "AlertSeverityEnum": "apps.admin.choices.Severity",
        "AlertStatusEnum": "apps.admin.choices.AlertStatus",
        "AttemptOutcomeEnum": "apps.mengla.choices.AttemptOutcome",
        "CollectionStatusEnum": "apps.mengla.choices.CollectionStatus",
        "SyncTaskOutcomeEnum": "apps.sync_tasks.choices.Outcome",
        "SyncTaskStatusEnum": "apps.sync_tasks.choices.RunStatus",
    },
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "apps.core.api.openapi.auto_schema.finish",
    ],
}
