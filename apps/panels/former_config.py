"""Converts the panel configuration of the former program into a change of this product's; it is pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from apps.core.errors import InvalidInput
from apps.panels.choices import ModuleId

# The former program's names and types, and this product's fields.
_MODULE_FIELDS: dict[str, tuple[str, type]] = {
    "name": ("name", str),
    "enabled": ("is_enabled", bool),
    "order": ("order", int),
    "props": ("props", Mapping),
}
_LAYOUT_FIELDS: dict[str, tuple[str, type]] = {
    "defaultPeriod": ("default_period", str),
    "showRankPeriodSelector": ("shows_rank_period_selector", bool),
}
Problems = dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class FormerConfig:
    """The change, in the form that the services take; ``left_out`` names what this product does not have."""

    modules: list[dict[str, Any]]
    layout: dict[str, Any]
    left_out: list[str]


def read_former_config(document: object) -> FormerConfig:
    """Return the modules in their order, those that the document does not name last, and the layout.

    Modules and fields that this product does not have are left out.

    :raises InvalidInput: when the document has neither modules nor a layout, or a value of a wrong type.
    """
    parts: dict[str, Any] = dict(document) if isinstance(document, Mapping) else {}
    modules, layout = parts.get("modules", []), parts.get("layout", {})
    if not parts.keys() & {"modules", "layout"} or not (
        isinstance(modules, list) and isinstance(layout, Mapping)
    ):
        raise InvalidInput(_("This is not a panel configuration: modules must be a list, layout an object."))
    problems: Problems = {}
    left_out: list[str] = []
    changes: list[dict[str, Any]] = []
    for position, module in enumerate(modules):
        place = f"modules.{position}"
        if not isinstance(module, Mapping):
            problems[place] = [_("Must be a JSON object.")]
        elif module.get("id") not in ModuleId.values:
            left_out.append(f"{place}: {str(module.get('id'))[:50]}")
        else:
            fields = _fields(module, _MODULE_FIELDS, place, problems, left_out)
            changes.append({"id": module["id"], **fields})
    wanted = _fields(layout, _LAYOUT_FIELDS, "layout", problems, left_out)
    left_out += [name[:50] for name in parts if name not in ("modules", "layout")]
    if problems:
        raise InvalidInput(_("The input is not valid."), fields=problems)
    return FormerConfig(_in_order(changes) if changes else [], wanted, left_out)


def _fields(
    given: Mapping[str, Any],
    known: dict[str, tuple[str, type]],
    place: str,
    problems: Problems,
    left_out: list[str],
) -> dict[str, Any]:
    fields = {}
    for name, stored in given.items():
        if name == "id":
            continue
        if name not in known:
            left_out.append(f"{place}.{name[:50]}")
            continue
        field, kind = known[name]
        # mongosh stores every number as a float.
        is_whole = kind is int and isinstance(stored, float) and stored.is_integer()
        value = int(stored) if is_whole else stored
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            problems[f"{place}.{name}"] = [_("Has the wrong type.")]
        fields[field] = value
    return fields


def _in_order(changes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Number the modules anew: the former program did not keep their orders different from each other."""
    last = len(changes)
    ordered = sorted(changes, key=lambda change: change.get("order", last))
    named = {change["id"] for change in changes}
    ordered += [{"id": one} for one in ModuleId.values if one not in named]
    return [{**change, "order": order} for order, change in enumerate(ordered)]
