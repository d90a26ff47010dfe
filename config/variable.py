"""What a declaration of an environment variable is made of."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Variable:
    """What is known of one environment variable besides its value."""

    parse: Callable[[str], Any]
    example: str
    help: str
    is_secret: bool = False
    is_required: bool = False
    is_required_in_production: bool = False


def text_of(value: Any) -> str:
    """Return a value as it would be written in the environment."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(value)
    return str(value).removesuffix(".0") if isinstance(value, float) else str(value)


def variable(
    parse: Callable[[str], Any],
    *,
    help: str,
    default: Any = None,
    example: str | None = None,
    is_secret: bool = False,
    is_required: bool = False,
    is_required_in_production: bool = False,
) -> Any:
    """Declare a field of the environment; the example is its default where it has one."""
    known = Variable(
        parse,
        text_of(default) if example is None else example,
        help,
        is_secret,
        is_required,
        is_required_in_production,
    )
    return dataclasses.field(default=default, metadata={"variable": known})
