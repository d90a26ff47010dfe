"""Serializer bases of the API."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from bson import ObjectId
from django.db import models
from django_mongodb_backend.fields import ObjectIdAutoField, ObjectIdField
from rest_framework import serializers


class ObjectIdStringField(serializers.Field):  # type: ignore[type-arg]
    """An ObjectId, spoken as its 24 hexadecimal characters."""

    default_error_messages = {"invalid": "Must be 24 hexadecimal characters."}

    def to_internal_value(self, data: Any) -> ObjectId:
        """Parse the text of an ObjectId."""
        if not isinstance(data, str) or not ObjectId.is_valid(data):
            self.fail("invalid")
        return ObjectId(data)

    def to_representation(self, value: Any) -> str:
        """Return the hexadecimal text."""
        return str(value)


class UtcDateTimeField(serializers.DateTimeField):
    """An instant, written in UTC with a ``Z``; one that comes without a zone, as from PyMongo, is UTC."""

    def __init__(self, **kwargs: Any) -> None:
        # DRF would use TIME_ZONE, the zone of the business day, which is no business of the clients'.
        super().__init__(**{"default_timezone": UTC} | kwargs)


class MongoModelSerializer(serializers.ModelSerializer):  # type: ignore[type-arg]
    """A ModelSerializer for our stack: ObjectId keys, which DRF would map to integers, and UTC instants."""

    serializer_field_mapping = {
        **serializers.ModelSerializer.serializer_field_mapping,
        ObjectIdAutoField: ObjectIdStringField,
        ObjectIdField: ObjectIdStringField,
        models.DateTimeField: UtcDateTimeField,
    }


class StrictIntegerField(serializers.IntegerField):
    """A whole number; a boolean, a float or a text is an error."""

    def to_internal_value(self, data: Any) -> int:
        """Accept ints only."""
        if isinstance(data, bool) or not isinstance(data, int):
            self.fail("invalid")
        return super().to_internal_value(data)


class StrictBooleanField(serializers.BooleanField):
    """True or false; a number, a text or null is an error."""

    def to_internal_value(self, data: Any) -> bool:
        """Accept booleans only."""
        if not isinstance(data, bool):
            self.fail("invalid", input=type(data).__name__)
        return data
