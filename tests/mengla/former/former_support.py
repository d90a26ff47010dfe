"""A database that holds what the former program left behind, with which this process works meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pymongo
from django.contrib.contenttypes.models import ContentType
from django.db import connections
from pymongo.database import Database

from tests import former

FormerDatabase = Database[dict[str, Any]]


@contextmanager
def former_database(settings: Any, *, is_filled: bool = True) -> Iterator[FormerDatabase]:
    """Connect this process to a database of its own within the block."""
    tests_own, of_settings = connections["default"].settings_dict["NAME"], settings.MONGO_DB
    name = f"{tests_own}_former"
    with pymongo.MongoClient[dict[str, Any]](settings.MONGO_URI) as client:
        client.drop_database(name)
        if is_filled:
            former.fill(client[name])
        _use(settings, name, name)
        try:
            yield client[name]
        finally:
            _use(settings, tests_own, of_settings)
            client.drop_database(name)


def _use(settings: Any, name: str, of_settings: str) -> None:
    connection = connections["default"]
    connection.settings_dict["NAME"] = name
    connection.ensure_connection()
    connection.init_connection_state()
    settings.MONGO_DB = of_settings
    ContentType.objects.clear_cache()
