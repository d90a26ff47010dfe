"""Schema changes that can be repeated.

MongoDB has no transaction around a migration. When `migrate` was killed in the middle of one, the next call
begins that migration again and finds what the first one has made.
"""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db.models import Index, Model
from django.db.utils import DatabaseError
from pymongo.errors import OperationFailure

from apps.core.unwanted import unwanted

with unwanted("django.contrib.gis", error=ImproperlyConfigured):  # as in storage.database.base
    from django_mongodb_backend.schema import DatabaseSchemaEditor

_INDEX_NOT_FOUND = 27  # the error code of MongoDB


class CollectionInUseError(DatabaseError):
    """A MongoDB collection that a migration creates exists and holds documents."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the MongoDB collection {name} exists already and holds documents")


class SchemaEditor(DatabaseSchemaEditor):  # type: ignore[misc]
    """The backend's schema editor; what exists is not made again, and what is gone is not removed again."""

    def create_model(self, model: type[Model]) -> None:
        """Create the MongoDB collection and its indexes; one that exists gets the indexes only.

        :raises CollectionInUseError: when it exists and holds documents.
        """
        name = model._meta.db_table
        if self.collect_sql or name not in self.connection.database.list_collection_names():
            super().create_model(model)
            return
        if self.connection.get_collection(name).find_one({}, {"_id": 1}) is not None:
            raise CollectionInUseError(name)
        self._create_model_indexes(model)
        for field in model._meta.local_many_to_many:
            through: Any = field.remote_field.through
            if through._meta.auto_created:
                self.create_model(through)

    def remove_index(self, model: type[Model], index: Index) -> None:
        """Drop an index, if it exists."""
        try:
            super().remove_index(model, index)
        except OperationFailure as error:
            if error.code != _INDEX_NOT_FOUND:
                raise
