"""django-mongodb-backend, which does not let every request of a process pay for a MongoDB that hangs."""

from __future__ import annotations

from typing import Any

import pymongo
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from pymongo.collection import Collection as MongoCollection
from pymongo.errors import ExecutionTimeout

from apps.core.storage.database.client import Client
from apps.core.storage.outages import mongo_outage
from apps.core.unwanted import unwanted

# The backend imports GeoDjango three times. Where GDAL is missing, ldconfig and a compiler look for it each
# time, under a dozen names: half a second of every process, for fields that no model of ours has. Where it is
# installed, every process would load it. What is raised here is what the backend takes as "no GDAL".
with unwanted("django.contrib.gis", error=ImproperlyConfigured):
    from django_mongodb_backend import base


class DatabaseWrapper(base.DatabaseWrapper):  # type: ignore[misc]
    """The connection of one thread; every operation on documents begins with :meth:`get_collection`."""

    def get_new_connection(self, conn_params: dict[str, Any]) -> Client:
        """Return the client of this process, the same for all its threads."""
        clients: dict[str, Client] = self._connection_pools
        if self.alias not in clients:
            # Several threads may come here first; all get the same one.
            clients.setdefault(self.alias, Client(**conn_params, driver=self._driver_info()))
        return clients[self.alias]

    def get_collection(self, name: str, **options: Any) -> MongoCollection[dict[str, Any]]:
        """Return a collection of our database. Raises as :meth:`ensure_awake` does."""
        self.ensure_awake()
        collection: MongoCollection[dict[str, Any]] = super().get_collection(name, **options)
        return collection

    def ensure_awake(self) -> None:
        """Fail early in an outage.

        One operation pays the full timeout of an outage; without this, all those after it would, in the same
        request and in all threads of the process.

        :raises pymongo.errors.PyMongoError: when MongoDB did not answer a moment ago and still does not.
        """
        if mongo_outage.is_known:
            try:
                with pymongo.timeout(settings.MONGO_AWAKE_TIMEOUT_SECONDS):
                    self.database.command("ping")
            except ExecutionTimeout:
                # Just back: the driver asks nothing in less time than the slow round trips it has seen at the
                # end of the outage, and goes on so for a while. The operation itself has more time.
                return
