"""Switches stored in MongoDB: every process sees them, and they survive restarts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pymongo.errors import DuplicateKeyError

from apps.core.storage.mongo import named_collection, utc_now

_FLAGS = "core_flags"
SCHEDULER_PAUSED = "scheduler_paused"


@dataclass(frozen=True, slots=True)
class Flag:
    """A switch, and the user who changed it last; ``changed_at`` is UTC without zone."""

    is_set: bool = False
    changed_by: str | None = None
    changed_at: datetime | None = None


def read_flag(name: str) -> Flag:
    """Return the switch; one that was never changed is off."""
    flag = named_collection(_FLAGS).find_one({"_id": name})
    return Flag() if flag is None else Flag(bool(flag["is_set"]), flag["changed_by"], flag["changed_at"])


def is_flag_set(name: str) -> bool:
    """Whether the switch is on."""
    flag = named_collection(_FLAGS).find_one({"_id": name}, {"is_set": 1})
    return flag is not None and bool(flag["is_set"])


def set_flag(name: str, *, is_set: bool, changed_by: str) -> bool:
    """Turn the switch on or off; returns False, and writes nothing, when it was so already."""
    change = {"$set": {"is_set": is_set, "changed_by": changed_by, "changed_at": utc_now()}}
    try:
        # A missing switch is off: only turning it on adds it.
        result = named_collection(_FLAGS).update_one(
            {"_id": name, "is_set": not is_set}, change, upsert=is_set
        )
    except DuplicateKeyError:  # it is on: the filter did not match, so the upsert tried to add it
        return False
    return bool(result.matched_count or result.upserted_id)
