"""Starts and stops an embedded MongoDB and Redis (development and tests only).

``start_mongo`` and ``start_redis`` return a handle with the ``uri`` to use;
``python -m apps.launcher.embedded exec -- COMMAND`` runs a command with both. Nothing here needs Django.
"""

from __future__ import annotations

from apps.launcher.embedded.binaries import EmbeddedError, find_mongod, find_redis_server
from apps.launcher.embedded.mongo import start_mongo
from apps.launcher.embedded.redis import start_redis
from apps.launcher.embedded.server import EmbeddedServer

__all__ = [
    "EmbeddedError",
    "EmbeddedServer",
    "find_mongod",
    "find_redis_server",
    "start_mongo",
    "start_redis",
]
