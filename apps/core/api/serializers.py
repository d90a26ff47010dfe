"""Base serializers and fields of the API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date
from functools import lru_cache
from typing import Any, ClassVar

from django.http import QueryDict
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers
from rest_framework.settings import api_settings

from apps.core import process_state
from apps.core.api.openapi import text_patterns
from apps.core.api.openapi.components import NamedSchema
from apps.core.api.openapi.period_schemas import DAY
from apps.core.api.openapi.rules import Rule
from apps.core.api.pagination import DEFAULT_LIMIT, MAX_CURSOR_LENGTH, MAX_LIMIT
from apps.core.api.parsers import refuse_names
from apps.core.periods import Granularity, PeriodError, parse_granularity, parse_period
from apps.core.printable import has_unprintable, list_text

MAX_WHOLE = 2**63 - 1


class UtcDateTimeField(serializers.DateTimeField):
    """An instant, written in UTC with a ``Z``; one without a zone, as PyMongo returns it, is UTC."""

    def __init__(self, **kwargs: Any) -> None:
        # DRF would use TIME_ZONE, the zone of the business day, which clients need not know.
        super().__init__(**{"default_timezone": UTC} | kwargs)


def is_whole(data: Any) -> bool:
    """Whether a value of a JSON body is a whole number that JSON keeps exactly."""
    if isinstance(data, bool) or not isinstance(data, int | float):
        return False
    return abs(data) <= MAX_WHOLE and data == int(data)


class StrictIntegerField(serializers.IntegerField):
    """A whole number, also written as 5.0, which is the same in JSON; a boolean or a text is an error."""

    def to_internal_value(self, data: Any) -> int:
        """Accept whole numbers only."""
        if not is_whole(data):
            self.fail("invalid")
        return super().to_internal_value(int(data))


class StrictBooleanField(serializers.BooleanField):
    """True or false; a number, a text or null is an error."""

    default_error_messages = {"invalid": _("Must be true or false.")}

    def to_internal_value(self, data: Any) -> bool:
        """Accept booleans only."""
        if not isinstance(data, bool):
            self.fail("invalid", input=type(data).__name__)
        return data


class StrictTextField(serializers.CharField):
    """A printable text as it was sent; a number, a boolean or a structure is an error and is not converted.

    ``is_secret``: a password, which may have any characters. A field that trims (``trim_whitespace``) trims
    spaces only: what is not printable is refused first.
    """

    default_error_messages = {"unprintable": _("This text has characters that are not allowed.")}

    def __init__(self, *, is_secret: bool = False, **kwargs: Any) -> None:
        # DRF trims by default: a space would then be an empty text, which selects everything.
        super().__init__(**{"trim_whitespace": False} | kwargs)
        self._is_secret = is_secret

    @property
    def openapi_pattern(self) -> str:
        """The pattern of what it accepts, for the API's description."""
        if self._is_secret:
            return text_patterns.OF_PASSWORDS
        if self.trim_whitespace:
            return text_patterns.trimmed(self.min_length or 1, self.max_length)
        return text_patterns.PRINTABLE

    def run_validation(self, data: Any = serializers.empty) -> Any:
        """Refuse other types before DRF converts them, and unprintable characters before it trims them."""
        if isinstance(data, str):
            if not self._is_secret and has_unprintable(data):
                self.fail("unprintable")
        elif data is not serializers.empty and data is not None:
            self.fail("invalid")
        return super().run_validation(data)


class DigitsField(StrictTextField):
    """A text that may also be sent as a whole number, which stands for its digits."""

    default_error_messages = {"invalid": _("Must be a text or a whole number.")}

    def run_validation(self, data: Any = serializers.empty) -> Any:
        """Write a whole number as its digits."""
        return super().run_validation(str(int(data)) if is_whole(data) else data)


class ObjectField(serializers.DictField):
    """An object with any names."""

    default_error_messages = {"not_a_dict": _("Must be a JSON object.")}


class ValuesField(serializers.ListField):
    """A list of values of one kind."""

    default_error_messages = {"not_a_list": _("Must be a list.")}


class NumberOrTextField(serializers.Field[Any, Any, Any, Any]):
    """A value as another program has sent it: a number as a rule, but it may be a text or null.

    It describes what is served; it never reads or writes it.
    """

    openapi_schema = NamedSchema(
        "NumberOrText",
        {
            "type": ["number", "string", "null"],
            "description": (
                "A value as its source sent it: a number as a rule. A text if it sent one, or an "
                "integer of more than 64 bits. Null if it has none."
            ),
        },
    )

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"required": False} | kwargs)


class UnpaddedTextField(StrictTextField):
    """A text without white space at its ends, such as a name by which something is looked up."""

    default_error_messages = {"padded": _("Must not begin or end with white space.")}

    @property
    def openapi_pattern(self) -> str:
        """The pattern of what it accepts, for the API's description."""
        return text_patterns.UNPADDED

    def to_internal_value(self, data: Any) -> str:
        """Refuse white space at the ends."""
        if data != data.strip():
            self.fail("padded")
        return super().to_internal_value(data)


class UrlIntegerField(serializers.IntegerField):
    """A whole number in a query string: ASCII digits, without a sign."""

    default_error_messages = {"invalid": _("Must be a whole number, written in digits only.")}

    def to_internal_value(self, data: Any) -> int:
        """Accept digits only; DRF would also take spaces, signs, underscores and digits of any script."""
        if not (isinstance(data, str) and data.isascii() and data.isdigit()):
            self.fail("invalid")
        return super().to_internal_value(data)


class UrlBooleanField(serializers.BooleanField):
    """A boolean in a query string: ``true`` or ``false``, also capitalized, as Python writes them."""

    default_error_messages = {"invalid": _("Must be true or false.")}
    default_empty_html = serializers.empty  # an absent one has its default, not false

    def to_internal_value(self, data: Any) -> bool:
        """Accept these words only; DRF would also take yes, on, 1, T and others."""
        if data in ("true", "True"):
            return True
        if data not in ("false", "False"):
            self.fail("invalid")
        return False


class StrictChoiceField(serializers.ChoiceField):
    """One of several texts; the error message lists them and does not repeat the input."""

    default_error_messages = {"invalid_choice": _("Must be one of: {names}.")}

    def to_internal_value(self, data: Any) -> Any:
        """Refuse other types before DRF converts them."""
        is_blank = data == "" and self.allow_blank
        if not (is_blank or (isinstance(data, str) and data in self.choices)):
            self.fail("invalid_choice", names=list_text(self.choices))
        return super().to_internal_value(data)


class GranularityField(StrictTextField):
    """A granularity, by any of its names in any letter case."""

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

    openapi_schema = DAY

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
    """What a client sends: an object that may have these names only, each once.

    A name that is not known, misspelled or of another address, is an error and is not ignored: otherwise the
    default would silently take the place of what was meant.
    """

    # For readers of the API's description: whole bodies or query strings that work, by their titles.
    examples: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    # Names that the work needs, although the fields are optional: it words their absence itself.
    needed: ClassVar[tuple[str, ...]] = ()
    # Whether an empty object is refused, although each field is optional.
    needs_any: ClassVar[bool] = False
    # What the description says of several fields together; the validation is the serializer's own.
    openapi_rules: ClassVar[Sequence[Rule]] = ()

    default_error_messages = {"invalid": _("Must be a JSON object.")}

    @property
    def errors(self) -> Any:
        """The errors; a body of null is one of a wrong type, for which DRF has an untranslated text."""
        found = getattr(self, "_errors", None)
        if isinstance(found, list) and [getattr(one, "code", "") for one in found] == ["null"]:
            return {api_settings.NON_FIELD_ERRORS_KEY: [self.error_messages["invalid"]]}
        return super().errors

    def to_internal_value(self, data: Any) -> Any:
        """Return the values of the fields."""
        return super().to_internal_value(self.checked(data))

    def checked(self, data: Any) -> Any:
        """Return the data, or refuse unknown and repeated names in it."""
        if isinstance(data, Mapping):
            refuse_names(data, self.fields.fields)  # a plain dict, which is asked for every name
        return data


class QuerySerializer(ExactSerializer):
    """The parameters of a query string; an empty value counts as absent, unless the field allows blank."""


class ReusingSerializer(ExactSerializer):
    """Validates with fields that are made once per class; DRF copies all fields for each request.

    A field that the data does not have is not validated, because its result is known, too. Data that is
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
        data = self.checked(data)
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


class CursorField(serializers.CharField):
    """The place where a page begins, as the page before it has named it."""

    openapi_pattern = text_patterns.CURSOR


class PageQuerySerializer(QuerySerializer):
    """The query parameters of every list."""

    examples: ClassVar = {"A short page": {"limit": 20}}

    cursor = CursorField(
        required=False,
        max_length=MAX_CURSOR_LENGTH,
        trim_whitespace=False,
        help_text="The next_cursor of the previous page, with the same filters.",
    )
    limit = UrlIntegerField(
        required=False, default=DEFAULT_LIMIT, min_value=1, max_value=MAX_LIMIT, help_text="Rows per page."
    )
