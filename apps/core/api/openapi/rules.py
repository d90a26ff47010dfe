"""What the schema of a body says of several fields together.

A rule is a part of the schema's ``allOf``. A :class:`NamedSchema` in it stands for the reference to it.
Generators of clients read no rules, and lose nothing: the types of the fields are as they were.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from apps.core.api.openapi.components import NamedSchema
from apps.core.api.openapi.period_schemas import end_of, start_of
from apps.core.periods import Granularity

Rule = Mapping[str, Any]
_ABSENT = [None, ""]


def given(*names: str) -> Rule:
    """Return the condition that all these fields have a value: they are there, and neither null nor empty."""
    return {"required": [*names], "properties": {name: {"not": {"enum": _ABSENT}} for name in names}}


def absent(name: str) -> Rule:
    """Return the condition that a field has no value."""
    return {"properties": {name: {"enum": _ABSENT}}}


def equals(name: str, value: Any) -> Rule:
    """Return the condition that a field has this value."""
    return {"required": [name], "properties": {name: {"const": value}}}


def fits(**forms: NamedSchema) -> Rule:
    """Return the condition that each of these fields, if it is there, is as its schema says."""
    return {"properties": forms}


def any_of(*rules: Rule) -> Rule:
    """Return the condition that one of these holds."""
    return {"anyOf": [*rules]}


def all_of(*rules: Rule) -> Rule:
    """Return the condition that all of these hold."""
    return {"allOf": [*rules]}


def when(condition: Rule, then: Rule, otherwise: Rule | None = None) -> Rule:
    """Return the rule that holds while the condition does, and the one that holds while it does not."""
    return {"if": condition, "then": then, **({} if otherwise is None else {"else": otherwise})}


def range_rules() -> list[Rule]:
    """Return the rules of ``granularity``, ``startDate`` and ``endDate``: the dates have its forms."""
    return [
        when(equals("granularity", one.value), fits(startDate=start_of(one), endDate=end_of(one)))
        for one in Granularity
    ]


def with_references(rules: Iterable[Rule], refer: Callable[[NamedSchema], dict[str, Any]]) -> list[Any]:
    """Return rules as they are in the document; ``refer`` returns the reference to a named schema."""

    def written(part: Any) -> Any:
        if isinstance(part, NamedSchema):
            return refer(part)
        if isinstance(part, Mapping):
            return {name: written(inner) for name, inner in part.items()}
        return [written(inner) for inner in part] if isinstance(part, list | tuple) else part

    return [written(rule) for rule in rules]
