"""MongoDB that does not respond, for tests that put something in the place of an operation."""

from __future__ import annotations

from typing import Any, NoReturn

from pymongo.errors import ServerSelectionTimeoutError

from apps.core.storage.outages import mongo_outage


def no_mongo(*_arguments: Any, **_options: Any) -> NoReturn:
    """Fail as an operation does that finds no server: the product's client notes it, and raises."""
    mongo_outage.note()
    raise ServerSelectionTimeoutError("no servers found")
