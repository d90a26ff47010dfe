"""Parsers of request bodies: strict JSON, limited in size and depth, each name once."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import IO, Any

import orjson
from django.conf import settings
from django.http import QueryDict
from django.utils.translation import gettext as _
from rest_framework.exceptions import ParseError, ValidationError
from rest_framework.parsers import BaseParser

from apps.core.api.bodies import announced_bytes, read_bounded
from apps.core.api.envelope import JSON_CONTENT_TYPE
from apps.core.errors import InvalidInput
from apps.core.printable import list_text

# No request of this API needs more. Much deeper data cannot even be printed in an error message.
MAX_DEPTH = 32
MAX_NAMED = 5  # how many wrong names an error shows
_MAX_SHOWN = 40  # characters of each


class StrictJSONParser(BaseParser):
    """Parses UTF-8 JSON; NaN, lone surrogates, repeated names, trailing text and deep nesting are errors."""

    media_type = JSON_CONTENT_TYPE

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the parsed body.

        :raises ParseError: when it is not JSON, or nested deeper than ``MAX_DEPTH``.
        :raises InvalidInput: when an object has a name twice.
        :raises PayloadTooLarge: when it is over DATA_UPLOAD_MAX_MEMORY_SIZE.
        """
        request = (parser_context or {}).get("request")
        body = read_bounded(
            stream,
            announced_bytes=announced_bytes(request) if request is not None else 0,
            limit_bytes=settings.DATA_UPLOAD_MAX_MEMORY_SIZE,
        )
        return loads_shallow(body)


def loads_shallow(body: bytes) -> Any:
    """Parse JSON bytes that are nested no deeper than ``MAX_DEPTH`` and give each name once.

    :raises ParseError: when they are not JSON, or deeper.
    :raises InvalidInput: when an object has a name twice, also in two spellings (``"\\u0061"`` is ``"a"``).
    """
    data = loads(body)
    # Each name has a colon behind it. Of a name given twice orjson keeps one, so there are more colons than
    # names. Texts may have colons, too, so a body that has more is parsed again, by the slow way.
    if body.count(b":") != _count_names(data) and (repeated := _repeated_names(body)):
        messages = {name: [_("Must not be given more than once.")] for name in repeated}
        raise InvalidInput(_("The input is not valid."), fields=messages)
    return data


def _count_names(data: Any) -> int:
    """Return how many names all objects in the data have together; goes down level by level.

    :raises ParseError: when it is nested deeper than ``MAX_DEPTH`` objects and arrays.
    """
    count = 0
    level = [data]
    for _depth in range(MAX_DEPTH + 1):
        below: list[Any] = []
        for one in level:
            if isinstance(one, dict):
                count += len(one)
                below.extend(one.values())
            elif isinstance(one, list):
                below.extend(one)
        if not below:
            return count
        level = below
    raise ParseError(_("The JSON is nested too deeply."))


class _Pairs(list[tuple[str, Any]]):
    """The names and values of an object, as they were sent."""


def _repeated_names(body: bytes) -> list[str]:
    """Return the names that an object has twice, each with its place, such as ``layout.rows[2].id``.

    :raises ParseError: when what comes under the name first is nested too deeply.
    """
    try:
        # Numbers stay texts: only names matter, and a number of many digits would be an error.
        data = json.loads(body.decode(), object_pairs_hook=_Pairs, parse_int=str, parse_float=str)
    except RecursionError:
        raise ParseError(_("The JSON is nested too deeply.")) from None
    repeated: dict[str, None] = {}
    # A place is the place around it with one more name or index: as texts they could take much memory.
    left: list[tuple[Any, Any]] = [((), data)]
    while left and len(repeated) < MAX_NAMED:
        place, one = left.pop()
        if isinstance(one, _Pairs):
            seen: set[str] = set()
            for name, value in one:
                if name in seen:
                    repeated[_text_of((place, name))] = None
                seen.add(name)
                left.append(((place, name), value))
        elif isinstance(one, list):
            left.extend(((place, index), value) for index, value in enumerate(one))
    return list(repeated)[:MAX_NAMED]


def _text_of(place: Any) -> str:
    text = ""
    while place:
        place, step = place
        text = f"[{step}]{text}" if isinstance(step, int) else f".{shown_name(step)}{text}"
    return text.removeprefix(".")


def shown_name(name: str) -> str:
    """Return a name that a client has sent, shortened, for a message to it."""
    return name if len(name) <= _MAX_SHOWN else f"{name[:_MAX_SHOWN]}..."


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
            messages.setdefault(shown_name(name), []).append(_("Must not be given more than once."))
    if messages:
        raise ValidationError(messages)


def refuse_parameters(parameters: Mapping[str, Any]) -> None:
    """Refuse every parameter of a query string, because the address reads none.

    :raises rest_framework.exceptions.ValidationError: as :func:`refuse_names` does.
    """
    refuse_names(parameters, (), unknown=_("Unknown name: this address takes no URL parameters."))


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
        return _("Unknown name. Did you mean %(name)s?") % {"name": found[0]}
    return _("Unknown name. The known names are: %(names)s.") % {"names": list_text(known)}


def _is_in(name: str, group: Collection[str]) -> bool:
    return _letters(name) in map(_letters, group)


def _letters(name: str) -> str:
    return re.sub(r"[\W_]", "", name).lower()


def loads(body: bytes) -> Any:
    """Parse JSON bytes.

    :raises ParseError: when they are not JSON.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ParseError(_("The body is not valid JSON.")) from error
