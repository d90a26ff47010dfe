"""Parsers of request bodies: strict JSON, limited in size and depth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

import orjson
from django.conf import settings
from django.utils.translation import gettext as _
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

from apps.core.api.bodies import announced_bytes, read_bounded
from apps.core.api.envelope import JSON_CONTENT_TYPE

# No request of this API needs more. Much deeper data cannot even be printed in an error message.
MAX_DEPTH = 32


class StrictJSONParser(BaseParser):
    """Parses UTF-8 JSON; NaN, lone surrogates, trailing text and deep nesting are errors."""

    media_type = JSON_CONTENT_TYPE

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the parsed body.

        :raises ParseError: when it is not JSON, or nested deeper than ``MAX_DEPTH``.
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
    """Parse JSON bytes that are nested no deeper than ``MAX_DEPTH``.

    :raises ParseError: when they are not JSON, or deeper.
    """
    data = loads(body)
    if _is_deeper(data, MAX_DEPTH):
        raise ParseError(_("The JSON is nested too deeply."))
    return data


def _is_deeper(data: Any, limit: int) -> bool:
    """Whether JSON data is nested deeper than ``limit`` objects and arrays; checks level by level."""
    level = [data]
    for _depth in range(limit + 1):
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return False
    return True


def loads(body: bytes) -> Any:
    """Parse JSON bytes.

    :raises ParseError: when they are not JSON.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ParseError(_("The body is not valid JSON.")) from error
