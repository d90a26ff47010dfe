"""How an environment variable is declared."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Variable:
    """The declaration of one environment variable; its name and default are those of the field."""

    parse: Callable[[str], Any]
    example: str
    help: str
    is_secret: bool = False
    is_required: bool = False
    is_required_in_production: bool = False


def text_of(value: Any) -> str:
    """Return a value as it is written in the environment."""
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
    """Declare a variable as a dataclass field; the example defaults to the default value.

    The ``repr`` of the dataclass does not contain secrets.
    """
    known = Variable(
        parse,
        text_of(default) if example is None else example,
        help,
        is_secret,
        is_required,
        is_required_in_production,
    )
    return dataclasses.field(default=default, repr=not is_secret, metadata={"variable": known})
