"""Base serializers and fields of the API."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, date
from functools import lru_cache
from typing import Any

from django.http import QueryDict
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers
from rest_framework.settings import api_settings

from apps.core import process_state
from apps.core.api.pagination import DEFAULT_LIMIT, MAX_CURSOR_LENGTH, MAX_LIMIT
from apps.core.periods import Granularity, PeriodError, parse_granularity, parse_period

_MAX_SHOWN_NAMES = 5
_MAX_SHOWN_CHARACTERS = 40


class UtcDateTimeField(serializers.DateTimeField):
    """An instant, written in UTC with a ``Z``; one without a zone, as PyMongo returns it, is UTC."""

    def __init__(self, **kwargs: Any) -> None:
        # DRF would use TIME_ZONE, the zone of the business day, which clients need not know.
        super().__init__(**{"default_timezone": UTC} | kwargs)


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


class StrictTextField(serializers.CharField):
    """A text; a number, a boolean or a structure is an error and is not converted."""

    def run_validation(self, data: Any = serializers.empty) -> Any:
        """Refuse other types before DRF converts them."""
        if data is not serializers.empty and data is not None and not isinstance(data, str):
            self.fail("invalid")
        return super().run_validation(data)


class StrictChoiceField(serializers.ChoiceField):
    """One of several texts; the error message lists them and does not repeat the input."""

    default_error_messages = {"invalid_choice": _("Must be one of: {names}.")}

    def to_internal_value(self, data: Any) -> Any:
        """Refuse other types before DRF converts them."""
        if not isinstance(data, str) or data not in self.choices:
            self.fail("invalid_choice", names=", ".join(map(str, self.choices)))
        return super().to_internal_value(data)


class GranularityField(StrictTextField):
    """A granularity, by any of its names in any letter case."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"trim_whitespace": False} | kwargs)

    def to_internal_value(self, data: Any) -> Any:
        """Parse the name."""
        try:
            return parse_granularity(super().to_internal_value(data))
        except PeriodError as error:
            raise serializers.ValidationError(error.message) from error

    def to_representation(self, value: Any) -> Any:
        """Return the name."""
        return Granularity(value).value


class DayField(serializers.DateField):
    """A calendar day such as 2025-06-01 or 20250601."""

    def to_internal_value(self, value: Any) -> date:
        """Parse the day."""
        try:
            return parse_period(value, Granularity.DAY).first_day
        except PeriodError as error:
            raise serializers.ValidationError(error.message) from error


class ConfirmationField(StrictBooleanField):
    """Must be ``true``: the caller confirms an action that cannot be undone."""

    default_error_messages = {"not_confirmed": _("Must be true.")}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"help_text": "Must be true: this cannot be undone."} | kwargs)

    def to_internal_value(self, data: Any) -> bool:
        """Accept true only."""
        if super().to_internal_value(data) is not True:
            self.fail("not_confirmed")
        return True


class ExactSerializer(serializers.Serializer[Any]):
    """An object that may have these fields only: a misspelled name is an error and is not ignored."""

    default_error_messages = {"unknown": _("Unknown fields: {names}.")}

    def to_internal_value(self, data: Any) -> Any:
        """Refuse unknown names; the message lists the first few, shortened."""
        if isinstance(data, Mapping):
            unknown = [name for name in data if name not in self.fields]
            if unknown:
                names = ", ".join(repr(name[:_MAX_SHOWN_CHARACTERS]) for name in unknown[:_MAX_SHOWN_NAMES])
                message = self.error_messages["unknown"].format(names=names)
                raise serializers.ValidationError({api_settings.NON_FIELD_ERRORS_KEY: [message]})
        return super().to_internal_value(data)


class QuerySerializer(serializers.Serializer[Any]):
    """The parameters of a query string; a repeated one is an error, because only the last would count."""

    default_error_messages = {"repeated": _("Must not be given more than once.")}

    def to_internal_value(self, data: Any) -> Any:
        """Refuse a known parameter that is given more than once."""
        if isinstance(data, QueryDict) and any(len(values) > 1 for _, values in data.lists()):
            repeated = [str(name) for name in self.fields if len(data.getlist(str(name))) > 1]
            if repeated:
                message = self.error_messages["repeated"]
                raise serializers.ValidationError({name: [message] for name in repeated})
        return super().to_internal_value(data)


class ReusingSerializer(serializers.Serializer[Any]):
    """Validates with fields that are made once per class; DRF copies all fields for each request.

    A field that the data does not have is not validated, because what comes of it is known, too. Data that is
    not valid is validated again with fields of its own: a message is in the language of the request that uses
    it first. A field must not depend on the request (``context``, ``partial``) or have another source than
    its name, and the class must not have methods ``validate_<field>``.
    """

    _fields_of: Mapping[type, list[tuple[serializers.Field[Any, Any, Any, Any], Any]]] | None = None

    def run_validation(self, data: Any = serializers.empty) -> Any:
        """Return the validated data.

        :raises rest_framework.exceptions.ValidationError: when it is not valid.
        """
        try:
            return serializers.Serializer.run_validation(_reused(type(self)), data)
        except serializers.ValidationError:
            return super().run_validation(data)

    def to_internal_value(self, data: Any) -> Any:
        """Return the values of the fields."""
        fields = self._fields_of.get(type(data)) if self._fields_of else None
        if fields is None:  # fields of a request's own, or data that is no object
            return super().to_internal_value(data)
        values = {}
        for field, absent in fields:
            value = absent
            if field.field_name in data:
                value = serializers.empty
                with suppress(serializers.SkipField):
                    value = field.run_validation(field.get_value(data))
            if value is _INVALID:
                raise serializers.ValidationError
            if value is not serializers.empty:
                values[field.field_name] = value
        return values


_INVALID = object()


@lru_cache(maxsize=32)
def _reused(serializer_class: type[ReusingSerializer]) -> ReusingSerializer:
    """Return the serializer whose fields all requests share; threads only read it."""
    serializer = serializer_class()
    for field in serializer.fields.values():
        for validator in field.validators:
            str(getattr(validator, "message", ""))  # DRF formats it at its first use, for one thread only
    nothings: list[Mapping[str, Any]] = [{}, QueryDict()]
    serializer._fields_of = {
        type(nothing): [(field, _absent(field, nothing)) for field in serializer.fields.values()]
        for nothing in nothings
    }
    return serializer


def _absent(field: serializers.Field[Any, Any, Any, Any], nothing: Mapping[str, Any]) -> Any:
    """Return the value of a field that the data does not have; ``empty`` for none."""
    try:
        return field.run_validation(field.get_value(nothing))
    except serializers.SkipField:
        return serializers.empty
    except serializers.ValidationError:
        return _INVALID


process_state.register(_reused.cache_clear)


class PageQuerySerializer(QuerySerializer):
    """The query parameters of every list."""

    cursor = serializers.CharField(
        required=False, max_length=MAX_CURSOR_LENGTH, help_text="The next_cursor of the previous page."
    )
    limit = serializers.IntegerField(
        required=False, default=DEFAULT_LIMIT, min_value=1, max_value=MAX_LIMIT, help_text="Rows per page."
    )
