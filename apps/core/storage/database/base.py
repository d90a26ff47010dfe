"""django-mongodb-backend, extended to fail early while MongoDB hangs."""

from __future__ import annotations

from typing import Any, cast

import pymongo
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from pymongo.collection import Collection as MongoCollection
from pymongo.errors import ExecutionTimeout

from apps.core.storage.database.client import Client
from apps.core.storage.database.schema import SchemaEditor
from apps.core.storage.outages import mongo_outage
from apps.core.unwanted import unwanted

# The backend imports GeoDjango three times. Where GDAL is missing, ldconfig and a compiler search for it each
# time, under a dozen names. This costs every process half a second, for fields that no model here has.
# Where GDAL is installed, every process would load it. The backend understands this error as "GDAL is
# missing".
with unwanted("django.contrib.gis", error=ImproperlyConfigured):
    from django_mongodb_backend import base, operations


class DatabaseOperations(operations.DatabaseOperations):  # type: ignore[misc]
    """The backend's operations, with compilers of our own."""

    compiler_module = "apps.core.storage.database.compiler"


class DatabaseWrapper(base.DatabaseWrapper):  # type: ignore[misc]
    """The connection of one thread; every operation on documents starts with :meth:`get_collection`."""

    ops_class = DatabaseOperations
    SchemaEditorClass = SchemaEditor

    def get_new_connection(self, conn_params: dict[str, Any]) -> Client:
        """Return the client of this process, which all its threads share."""
        clients: dict[str, Client] = self._connection_pools
        if self.alias not in clients:
            # Several threads may get here at once: setdefault gives all of them the same client.
            clients.setdefault(self.alias, Client(**conn_params, driver=self._driver_info()))
        return clients[self.alias]

    def get_collection(self, name: str, **options: Any) -> MongoCollection[dict[str, Any]]:
        """Return a MongoDB collection of our database. Raises as :meth:`ensure_awake` does."""
        self.ensure_awake()
        if options or self.queries_logged:
            return cast("MongoCollection[dict[str, Any]]", super().get_collection(name, **options))
        # Making one costs PyMongo a tenth of an operation.
        known: dict[str, MongoCollection[dict[str, Any]]] = self.__dict__.setdefault("_known_collections", {})
        collection = known.get(name)
        if collection is None or collection.database is not self.database:
            collection = known[name] = super().get_collection(name)
        return collection

    def ensure_awake(self) -> None:
        """Fail early in an outage.

        The first operation in an outage waits for its full timeout. Without this check, every later operation
        would wait as long, in the same request and in all threads of the process.

        :raises pymongo.errors.PyMongoError: when MongoDB did not respond a moment ago and still does not.
        """
        if mongo_outage.is_known:
            try:
                with pymongo.timeout(settings.MONGO_AWAKE_TIMEOUT_SECONDS):
                    self.database.command("ping")
            except ExecutionTimeout:
                # MongoDB has just come back. For a while the driver remembers the slow round trips at the end
                # of the outage, and sends nothing that has less time. The operation itself has more time.
                return
