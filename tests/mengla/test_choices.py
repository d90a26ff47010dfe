"""The stored values are part of the API: changing one breaks clients and stored rows."""

from __future__ import annotations

from django.utils import translation

from apps.mengla.choices import (
    ACTIVE_STATUSES,
    FINAL_STATUSES,
    Action,
    CollectionError,
    CollectionStatus,
    EmptyReason,
    Priority,
)


def test_the_values_are_those_of_the_contract() -> None:
    assert Action.values == ["high", "hot", "chance", "industryViewV2", "industryTrendRange"]
    with translation.override("en"):
        labels = [str(label) for label in Action.labels]
    assert labels == ["Blue-ocean ranking", "Best sellers", "Rising", "Distribution", "Trend"]
    assert [(choice.name, choice.value) for choice in Priority] == [
        ("READER", 0),
        ("MANUAL", 10),
        ("SCHEDULED", 20),
        ("BACKFILL", 30),
    ]
    assert EmptyReason.values == [
        *("missing_key", "error_code", "null_data", "empty_list", "all_lists_empty", "no_points"),
        "missing_point",
    ]
    assert CollectionError.values == [
        *("execution_failed", "unreadable_payload", "unstorable_payload", "timeout", "connect_error"),
        *("service_error", "rate_limited", "unauthorized", "rejected", "unknown_task", "unknown"),
    ]


def test_every_status_is_either_active_or_final() -> None:
    assert ACTIVE_STATUSES == (CollectionStatus.PENDING, CollectionStatus.DISPATCHED)
    assert sorted((*ACTIVE_STATUSES, *FINAL_STATUSES)) == sorted(CollectionStatus)
