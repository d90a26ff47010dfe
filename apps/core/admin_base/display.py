"""Coloured labels in the lists of the admin."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from django.utils.functional import Promise

F = TypeVar("F", bound=Callable[..., Any])


class Coloured(tuple[str, str]):
    """The key of a colour and the text to show; where there are no colours, only the text is shown."""

    __slots__ = ()

    def __str__(self) -> str:
        return str(self[1])


def coloured(description: str | Promise, colours: Mapping[str, str]) -> Callable[[F], F]:
    """Show a column as a coloured label; the method returns :class:`Coloured`, with a key in ``colours``.

    The colours are the theme's: success, info, warning, danger.
    """

    def decorate(method: F) -> F:
        attributes: Any = method
        attributes.short_description = description
        attributes.label = dict(colours)
        return method

    return decorate
