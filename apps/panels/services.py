"""Every change of the panels, and the runs that people start from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import structlog
from django.utils.translation import gettext as _
from pymongo.errors import DuplicateKeyError

from apps.core import market_clock
from apps.core.errors import Conflict, InvalidInput
from apps.core.periods import Period
from apps.core.storage.mongo import collection_of, utc_now
from apps.mengla.runs import collect
from apps.mengla.runs.collect import Order, Selection
from apps.panels.config import DEFAULT_CONFIG, PanelConfig, changed, differences
from apps.panels.errors import UnknownModule, VersionConflict
from apps.panels.models import PanelLayout
from apps.panels.selectors import CONFIG_ID, find_task, read_config
from apps.sync_tasks.services import Started

audit = structlog.get_logger("collector.audit")

_CHANGE_TRIES = 50


def change_config(
    *,
    changed_by: str,
    modules: Sequence[Mapping[str, Any]] = (),
    layout: Mapping[str, Any] | None = None,
    expected_version: int | None = None,
) -> PanelConfig:
    """Change the named fields of the named modules and of the layout: all of it, or nothing.

    Returns the new whole, or the stored one where that is the same: then there is no new version, which would
    only make outdated what others are looking at. Without an ``expected_version`` the last writer wins, field
    by field.

    :raises InvalidInput: with every problem of the whole.
    :raises VersionConflict: when the configuration is not, or no longer, of the expected version.
    """

    def change(config: PanelConfig) -> PanelConfig:
        return changed(config, modules=modules, layout=layout)

    return _change(change, changed_by=changed_by, expected_version=expected_version)


def set_module_enabled(
    module_id: str, *, is_enabled: bool, changed_by: str, expected_version: int | None = None
) -> PanelConfig:
    """Show a module, or hide it.

    :raises UnknownModule: when there is no such module.
    :raises VersionConflict: as :func:`change_config` does.
    """

    def change(config: PanelConfig) -> PanelConfig:
        _check_known(config, module_id)
        return changed(config, modules=[{"id": module_id, "is_enabled": is_enabled}])

    return _change(change, changed_by=changed_by, expected_version=expected_version)


def reorder_modules(
    module_ids: Sequence[str], *, changed_by: str, expected_version: int | None = None
) -> PanelConfig:
    """Put the modules in this order: every module is named, once.

    :raises InvalidInput: when one is missing, unknown or named twice.
    :raises VersionConflict: as :func:`change_config` does.
    """

    def change(config: PanelConfig) -> PanelConfig:
        if sorted(module_ids) != sorted(module.id for module in config.modules):
            raise InvalidInput(_("Name every module of the panel once."))
        return _in_this_order(config, module_ids)

    return _change(change, changed_by=changed_by, expected_version=expected_version)


def move_module(
    module_id: str, *, position: int, changed_by: str, expected_version: int | None = None
) -> PanelConfig:
    """Move one module to a position, 0 being the first; beyond the end means to the end.

    :raises UnknownModule: when there is no such module.
    :raises VersionConflict: as :func:`change_config` does.
    """

    def change(config: PanelConfig) -> PanelConfig:
        _check_known(config, module_id)
        others = [module.id for module in config.modules if module.id != module_id]
        others.insert(max(0, position), module_id)
        return _in_this_order(config, others)

    return _change(change, changed_by=changed_by, expected_version=expected_version)


def run_task(task_id: str, *, order: Order) -> Started:
    """Start a panel task for the present day of the market, whether the schedules are paused or not.

    :raises UnknownTask: when there is no such task.
    :raises AlreadyRunning: when its last run has not ended.
    """
    return collect.start(find_task(task_id).plan(market_clock.today()), order)


def count_task(task_id: str) -> int | None:
    """Return how many collections a task means that people are asked about first; None for any other.

    :raises UnknownTask: when there is no such task.
    """
    task = find_task(task_id)
    return task.plan(market_clock.today()).count() if task.is_large else None


def fill_gaps(*, order: Order, start: Period, end: Period, selection: Selection) -> Started:
    """Start a run that collects only what is missing or empty in a range.

    :raises InvalidInput: for a reversed or too long range, or unknown categories.
    :raises AlreadyRunning: when another fill has not ended.
    """
    return collect.start(collect.fill_plan(start, end, selection=selection), order)


def _change(
    change: Callable[[PanelConfig], PanelConfig], *, changed_by: str, expected_version: int | None
) -> PanelConfig:
    """Replace the whole document if it is still the one the change was made for; otherwise begin again."""
    for _try in range(_CHANGE_TRIES):
        before = read_config()
        if expected_version not in (None, before.version):
            raise VersionConflict(before.version)
        wanted = change(before)
        if wanted == before:
            return before
        after = replace(wanted, version=before.version + 1, updated_by=changed_by, updated_at=utc_now())
        if _store(after, replaces=before.version):
            audit.info(
                "panel_config_changed",
                version=after.version,
                changes=differences(before, after),
                changed_by=changed_by,
            )
            return after
    raise Conflict(_("The panel configuration is being changed by many at once. Try again."))


def _store(config: PanelConfig, *, replaces: int) -> bool:
    layouts = collection_of(PanelLayout)
    document = config.to_document()
    if layouts.replace_one({"_id": CONFIG_ID, "version": replaces}, document).matched_count:
        return True
    if replaces != DEFAULT_CONFIG.version:
        return False
    try:  # nothing is stored where the migration's document was lost: the unique _id lets one of us in
        layouts.insert_one({"_id": CONFIG_ID} | document)
    except DuplicateKeyError:
        return False
    return True


def _check_known(config: PanelConfig, module_id: str) -> None:
    if module_id not in {module.id for module in config.modules}:
        raise UnknownModule


def _in_this_order(config: PanelConfig, module_ids: Sequence[str]) -> PanelConfig:
    if [module.id for module in config.modules] == list(module_ids):
        return config  # its numbers may have gaps, which nobody sees
    return changed(config, modules=[{"id": one, "order": order} for order, one in enumerate(module_ids)])
