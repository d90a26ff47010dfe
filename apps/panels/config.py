"""The panel configuration as a value: its stored form and its valid changes. All functions are pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

import orjson
from django.utils.translation import gettext as _

from apps.core.errors import InvalidInput
from apps.core.plain_json import is_plain
from apps.core.printable import has_unprintable, list_text
from apps.panels.choices import DefaultPeriod, ModuleId

NAME_MAX_LENGTH = 50
ORDER_MAX = 999
PROPS_MAX_BYTES = 8192
PROPS_MAX_DEPTH = 6

Document = dict[str, Any]
Problems = dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class Module:
    """One part of a client's dashboard; ``props`` are for the client and are not interpreted here."""

    id: str
    name: str
    is_enabled: bool
    order: int
    props: Any = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Layout:
    """The settings of the whole dashboard."""

    default_period: str
    shows_rank_period_selector: bool


@dataclass(frozen=True, slots=True)
class PanelConfig:
    """The whole configuration; its modules are in their order. ``updated_at`` is UTC without zone."""

    modules: tuple[Module, ...]
    layout: Layout
    version: int
    updated_by: str = ""
    updated_at: datetime | None = None

    def to_document(self) -> Document:
        """Return the configuration as it is stored, without the ``_id``."""
        return {
            "modules": [asdict(module) for module in self.modules],
            **asdict(self.layout),
            "version": self.version,
            "updated_by": self.updated_by,
            "updated_at": self.updated_at,
        }

    @classmethod
    def from_document(cls, stored: Mapping[str, Any]) -> PanelConfig:
        """Return the configuration of a document that :meth:`to_document` made."""
        return cls(
            modules=_in_order(Module(**module) for module in stored["modules"]),
            layout=Layout(stored["default_period"], stored["shows_rank_period_selector"]),
            version=stored["version"],
            updated_by=stored["updated_by"],
            updated_at=stored["updated_at"],
        )


# The migration stores this configuration.
DEFAULT_CONFIG = PanelConfig(
    modules=tuple(
        Module(one.value, str(one.label), is_enabled=True, order=order) for order, one in enumerate(ModuleId)
    ),
    layout=Layout(DefaultPeriod.MONTH.value, shows_rank_period_selector=True),
    version=1,
)


def changed(
    config: PanelConfig, *, modules: Sequence[Mapping[str, Any]] = (), layout: Mapping[str, Any] | None = None
) -> PanelConfig:
    """Return the configuration with these changes; modules and fields that are not named stay as they are.

    A change names its module by ``id``. The other keys are fields of :class:`Module` and :class:`Layout`;
    their types have been checked.

    :raises InvalidInput: with all problems, by the field names of the API.
    """
    problems: Problems = {}
    by_id = {module.id: module for module in config.modules}
    position_of: dict[str, int] = {}
    for position, change in enumerate(modules):
        module_id = change["id"]
        if module_id not in by_id:
            names = list_text(by_id)
            _add(problems, position, "id", _("Must be one of: %(names)s.") % {"names": names})
        elif module_id in position_of:
            _add(problems, position, "id", _("This module is listed twice."))
        else:
            position_of[module_id] = position
            module = replace(by_id[module_id], **change)
            # What is not printable is refused, and not trimmed.
            name = module.name if has_unprintable(module.name) else module.name.strip()
            by_id[module_id] = replace(module, name=name)
            _check_module(by_id[module_id], position, problems)
    _check_orders(by_id, position_of, problems)
    wanted = replace(config.layout, **(layout or {}))
    if wanted.default_period not in DefaultPeriod.values:
        names = list_text(DefaultPeriod.values)
        problems["layout.defaultPeriod"] = [_("Must be one of: %(names)s.") % {"names": names}]
    if problems:
        raise InvalidInput(_("The input is not valid."), fields=problems)
    return replace(config, modules=_in_order(by_id.values()), layout=wanted)


def differences(before: PanelConfig, after: PanelConfig) -> list[str]:
    """Return the fields that differ, as ``name=value``; of ``props`` only the name."""
    found = []
    old_modules = {module.id: asdict(module) for module in before.modules}
    pairs = [(old_modules[module.id], asdict(module), f"{module.id}.") for module in after.modules]
    for old, new, prefix in [*pairs, (asdict(before.layout), asdict(after.layout), "")]:
        for name, value in new.items():
            if value != old[name]:
                found.append(f"{prefix}{name}" + ("" if name == "props" else f"={value}"))
    return found


def _check_module(module: Module, position: int, problems: Problems) -> None:
    if not 1 <= len(module.name) <= NAME_MAX_LENGTH:
        _add(problems, position, "name", _("Must have 1 to %(max)d characters.") % {"max": NAME_MAX_LENGTH})
    elif has_unprintable(module.name):
        _add(problems, position, "name", _("This text has characters that are not allowed."))
    if not 0 <= module.order <= ORDER_MAX:
        _add(problems, position, "order", _("Must be from 0 to %(max)d.") % {"max": ORDER_MAX})
    if not isinstance(module.props, Mapping):
        _add(problems, position, "props", _("Must be a JSON object."))
    elif not is_plain(module.props, depth=PROPS_MAX_DEPTH):
        message = _("Must contain plain JSON values only, with simple names, and not be nested deeply.")
        _add(problems, position, "props", message)
    elif len(orjson.dumps(module.props)) > PROPS_MAX_BYTES:
        _add(problems, position, "props", _("Is too large."))


def _check_orders(by_id: Mapping[str, Module], position_of: Mapping[str, int], problems: Problems) -> None:
    """Add a problem for each named module that has the same order as another one."""
    holder_of: dict[int, str] = {}
    for module in sorted(by_id.values(), key=lambda one: position_of.get(one.id, -1)):
        holder = holder_of.setdefault(module.order, module.id)
        if holder != module.id and module.id in position_of:
            message = _("Module %(id)s already has this order.") % {"id": holder}
            _add(problems, position_of[module.id], "order", message)


def _add(problems: Problems, position: int, name: str, message: str) -> None:
    problems.setdefault(f"modules.{position}.{name}", []).append(message)


def _in_order(modules: Any) -> tuple[Module, ...]:
    return tuple(sorted(modules, key=lambda module: module.order))
