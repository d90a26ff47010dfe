"""Base serializers and fields of the API."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import UTC, date
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, ClassVar

from django.conf import settings
from django.http import QueryDict
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers
from rest_framework.settings import api_settings

from apps.core import process_state
from apps.core.api.openapi.components import NamedSchema
from apps.core.api.pagination import DEFAULT_LIMIT, MAX_CURSOR_LENGTH, MAX_LIMIT
from apps.core.api.parsers import MAX_NAMED, shown_name
from apps.core.periods import Granularity, PeriodError, parse_granularity, parse_period
from apps.core.printable import has_unprintable, list_text


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
        is_number = isinstance(data, int) and not isinstance(data, bool)
        return super().run_validation(str(data) if is_number else data)


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
        if not isinstance(data, str) or data not in self.choices:
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


def refuse_names(data: Mapping[str, Any], known: Collection[str], *, unknown: str | None = None) -> None:
    """Refuse names in a body or a query string that are not known, and parameters that are given twice.

    ``unknown`` is the message for an unknown name; by default it suggests the nearest known one.

    :raises rest_framework.exceptions.ValidationError: with a message for each of the first such names.
    """
    wrong = [name for name in data if name not in known]
    messages = {shown_name(name): [unknown or _suggestion(name, known)] for name in wrong[:MAX_NAMED]}
    if isinstance(data, QueryDict):
        repeated = [name for name, values in data.lists() if len(values) > 1]
        for name in repeated[:MAX_NAMED]:
            messages.setdefault(shown_name(name), []).append(gettext("Must not be given more than once."))
    if messages:
        raise serializers.ValidationError(messages)


def refuse_parameters(parameters: Mapping[str, Any]) -> None:
    """Refuse every parameter of a query string, because the address reads none.

    :raises rest_framework.exceptions.ValidationError: as :func:`refuse_names` does.
    """
    refuse_names(parameters, (), unknown=gettext("Unknown name: this address takes no URL parameters."))


def _suggestion(name: str, known: Collection[str]) -> str:
    """Return the message about an unknown name, with the known name that was probably meant."""
    spelled = {_letters(one): one for one in known}
    candidates = [
        name,
        *(one for group in settings.INPUT_NAME_GROUPS if _is_in(name, group) for one in group),
    ]
    found = [spelled[_letters(one)] for one in candidates if _letters(one) in spelled]
    found += [spelled[one] for one in get_close_matches(_letters(shown_name(name)), spelled, n=1)]
    if found:
        return gettext("Unknown name. Did you mean %(name)s?") % {"name": found[0]}
    return gettext("Unknown name. The known names are: %(names)s.") % {"names": list_text(known)}


def _is_in(name: str, group: Collection[str]) -> bool:
    return _letters(name) in map(_letters, group)


def _letters(name: str) -> str:
    return re.sub(r"[\W_]", "", name).lower()


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


class PageQuerySerializer(QuerySerializer):
    """The query parameters of every list."""

    examples: ClassVar = {"A short page": {"limit": 20}}

    cursor = serializers.CharField(
        required=False,
        max_length=MAX_CURSOR_LENGTH,
        trim_whitespace=False,
        help_text="The next_cursor of the previous page, with the same filters.",
    )
    limit = UrlIntegerField(
        required=False, default=DEFAULT_LIMIT, min_value=1, max_value=MAX_LIMIT, help_text="Rows per page."
    )
