"""What the last evaluation found for each rule, shared by all processes: one document in MongoDB."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pymongo.errors import DuplicateKeyError

from apps.admin.alerts.rules import Judgement
from apps.admin.alerts.words import REASONS
from apps.core.storage.mongo import named_collection

# Beside the mark of the checks; only this document has readings.
_CHECKS, _KEY = "alert_checks", "readings"


@dataclass(frozen=True, slots=True)
class Readings:
    """The readings by the keys of their alerts, and when they were made: UTC without zone, None for never."""

    evaluated_at: datetime | None = None
    by_key: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def store(judgements: Iterable[Judgement], *, now: datetime) -> None:
    """Store what an evaluation found, unless a later one has stored its own meanwhile."""
    readings = [
        {
            "key": one.key,
            "verdict": one.verdict.value,
            "value": one.value,
            "threshold": one.threshold,
            **REASONS.stored(one.reason),
        }
        for one in judgements
    ]
    try:
        named_collection(_CHECKS).update_one(
            {"_id": _KEY, "evaluated_at": {"$not": {"$gt": now}}},
            {"$set": {"evaluated_at": now, "readings": readings}},
            upsert=True,
        )
    except DuplicateKeyError:
        return  # a later evaluation has stored its readings


def read() -> Readings:
    """Return the readings of the last evaluation."""
    found = named_collection(_CHECKS).find_one({"_id": _KEY})
    if found is None:
        return Readings()
    return Readings(found["evaluated_at"], {one["key"]: one for one in found["readings"]})
