"""What a method of a view says of its answers, beyond its serializers: errors, headers, and caching."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from drf_spectacular.utils import OpenApiResponse
from rest_framework.serializers import BaseSerializer

from apps.core.api.openapi.components import ResponseHeader
from apps.core.errors import DomainError

_Method = TypeVar("_Method", bound=Callable[..., Any])
_ATTRIBUTE = "answers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What is known of the answers of a method.

    ``errors`` are those that the work itself may raise; those of the access, the parameters and the body
    follow from the view. ``is_cached``: the body is an entry of the caches. ``headers`` by status.
    """

    errors: Sequence[type[DomainError]] = ()
    is_cached: bool = False
    headers: Mapping[int, Sequence[ResponseHeader]] = field(default_factory=dict)


def answers(
    *errors: type[DomainError],
    is_cached: bool = False,
    headers: Mapping[int, Sequence[ResponseHeader]] | None = None,
) -> Callable[[_Method], _Method]:
    """Declare the answers of a method of a view; the parameters are those of :class:`Answers`."""

    def declare(method: _Method) -> _Method:
        setattr(method, _ATTRIBUTE, Answers(errors=errors, is_cached=is_cached, headers=headers or {}))
        return method

    return declare


def answers_of(method: Callable[..., Any] | None) -> Answers:
    """Return what a method declares."""
    found: Answers = getattr(method, _ATTRIBUTE, Answers())
    return found


class DataResponse(OpenApiResponse):
    """A response whose ``data`` is null, or one of several kinds; ``name`` is that of its schema.

    ``kinds`` are serializers, with ``many=True`` for a list. ``examples`` are whole bodies by their titles.
    """

    def __init__(
        self,
        name: str,
        *kinds: type[BaseSerializer[Any]] | BaseSerializer[Any],
        description: str,
        is_nullable: bool = False,
        examples: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(response=kinds[0], description=description)
        self.name = name
        self.kinds = kinds
        self.is_nullable = is_nullable
        self.bodies = examples or {}
