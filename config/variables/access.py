"""Declares the environment variables of earlier keys, for :class:`config.variables.Environment`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from config import parsers
from config.variables.declaration import variable

_PREVIOUS = "_PREVIOUS"


@dataclass(frozen=True)
class KeyVariables:
    """Keys that are accepted beside the current ones, so that a key can be changed while the product runs."""

    SECRET_KEY_PREVIOUS: tuple[str, ...] = variable(
        parsers.secrets_of(min_length=32, max_length=1024),
        default=(),
        example="(the key before, or the next one)",
        help="Other keys that are accepted beside SECRET_KEY while it is changed, separated by commas.",
        is_secret=True,
    )
    JWT_SECRET_PREVIOUS: tuple[str, ...] = variable(
        parsers.secrets_of(min_length=32, max_length=1024),
        default=(),
        example="(the key before, or the next one)",
        help="Other keys that are accepted beside JWT_SECRET while it is changed, separated by commas.",
        is_secret=True,
    )
    WEBHOOK_SECRET_PREVIOUS: tuple[str, ...] = variable(
        parsers.secrets_of(min_length=8, max_length=4096),
        default=(),
        example="(the key before, or the next one)",
        help="Other keys that are accepted beside WEBHOOK_SECRET while it is changed, separated by commas.",
        is_secret=True,
    )


def key_problems(values: Mapping[str, Any], given: Mapping[str, str], *, refused_key: str) -> Iterator[str]:
    """Yield what is wrong with further keys beside the current ones; no problem contains a key.

    :param refused_key: the published key, which production refuses.
    """
    for name in KeyVariables.__dataclass_fields__:
        current, others = name.removesuffix(_PREVIOUS), values[name]
        if not others:
            continue
        if current not in given:
            yield f"{name} is set without {current}: set the key that signs as {current}"
        elif values[current] in others:
            yield f"{name} must not contain the value of {current}: leave out one of the two"
        if values["ENV"] == "production" and refused_key in others:
            yield f"{name} must not contain the published development key; for example leave out {name}"
