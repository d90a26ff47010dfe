"""Every change of the panels, and the runs that people start from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import structlog
from django.utils.translation import gettext as _
from pymongo.errors import DuplicateKeyError

from apps.core import market_clock
from apps.core.caching.tiers import get_cache
from apps.core.errors import Conflict, InvalidInput
from apps.core.periods import Period
from apps.core.storage.mongo import collection_of, utc_now
from apps.mengla.runs import collect
from apps.mengla.runs.collect import Order, Selection
from apps.panels.config import DEFAULT_CONFIG, PanelConfig, changed, differences
from apps.panels.errors import UnknownModule, VersionConflict
from apps.panels.models import PanelLayout
from apps.panels.selectors import CACHE_GROUP, CONFIG_ID, find_task, read_config
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
    """Change the named fields of the named modules and of the layout: all of them, or none.

    Returns the new configuration. When nothing differs, returns the stored one and makes no new version, so
    that the version that others have read stays current. Without an ``expected_version`` the last writer
    wins, field by field.

    :raises InvalidInput: with all problems.
    :raises VersionConflict: when the configuration does not have the expected version.
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
    """Put the modules in this order; ``module_ids`` names every module once.

    :raises InvalidInput: when a module is missing, unknown or named twice.
    :raises VersionConflict: as :func:`change_config` does.
    """

    def change(config: PanelConfig) -> PanelConfig:
        if sorted(module_ids) != sorted(module.id for module in config.modules):
            raise InvalidInput(_("List every panel module exactly once."))
        return _reordered(config, module_ids)

    return _change(change, changed_by=changed_by, expected_version=expected_version)


def move_module(
    module_id: str, *, position: int, changed_by: str, expected_version: int | None = None
) -> PanelConfig:
    """Move one module to a position; 0 is the first, a position beyond the end means the last.

    :raises UnknownModule: when there is no such module.
    :raises VersionConflict: as :func:`change_config` does.
    """

    def change(config: PanelConfig) -> PanelConfig:
        _check_known(config, module_id)
        others = [module.id for module in config.modules if module.id != module_id]
        others.insert(max(0, position), module_id)
        return _reordered(config, others)

    return _change(change, changed_by=changed_by, expected_version=expected_version)


def run_task(task_id: str, *, order: Order) -> Started:
    """Start a panel task for the current date of the market, even while the schedules are paused.

    :raises UnknownTask: when there is no such task.
    :raises AlreadyRunning: when its last run has not ended.
    """
    return collect.start(find_task(task_id).plan(market_clock.today()), order)


def count_task(task_id: str) -> int | None:
    """Return how many collections a task queues, if users must confirm it first; None for any other task.

    :raises UnknownTask: when there is no such task.
    """
    return count_at_most(task_id) if find_task(task_id).is_large else None


def count_at_most(task_id: str) -> int:
    """Return how many collections a task queues if nothing of it is up to date.

    :raises UnknownTask: when there is no such task.
    """
    return find_task(task_id).plan(market_clock.today()).count()


def fill_gaps(*, order: Order, start: Period, end: Period, selection: Selection) -> Started:
    """Start a run that collects only what is missing, empty, or provisional and due in a range.

    :raises InvalidInput: for a reversed or too long range, one that has not begun, or unknown categories.
    :raises AlreadyRunning: when a fill of the same has not ended.
    """
    return collect.start(collect.fill_plan(start, end, selection=selection), order)


def _change(
    change: Callable[[PanelConfig], PanelConfig], *, changed_by: str, expected_version: int | None
) -> PanelConfig:
    """Apply a change to the current document and replace it; start again when it was changed meanwhile."""
    for _try in range(_CHANGE_TRIES):
        before = read_config()
        if expected_version not in (None, before.version):
            raise VersionConflict(before.version)
        wanted = change(before)
        if wanted == before:
            return before
        after = replace(wanted, version=before.version + 1, updated_by=changed_by, updated_at=utc_now())
        if _store(after, replaces=before.version):
            get_cache().invalidate(CACHE_GROUP)
            audit.info(
                "panel_config_changed",
                version=after.version,
                changes=differences(before, after),
                changed_by=changed_by,
            )
            return after
    raise Conflict(_("Too many simultaneous changes to the panel configuration. Try again."))


def _store(config: PanelConfig, *, replaces: int) -> bool:
    layouts = collection_of(PanelLayout)
    document = config.to_document()
    if layouts.replace_one({"_id": CONFIG_ID, "version": replaces}, document).matched_count:
        return True
    if replaces != DEFAULT_CONFIG.version:
        return False
    try:  # the migration's document was lost: the unique _id lets only one writer insert it
        layouts.insert_one({"_id": CONFIG_ID} | document)
    except DuplicateKeyError:
        return False
    return True


def _check_known(config: PanelConfig, module_id: str) -> None:
    if module_id not in {module.id for module in config.modules}:
        raise UnknownModule


def _reordered(config: PanelConfig, module_ids: Sequence[str]) -> PanelConfig:
    if [module.id for module in config.modules] == list(module_ids):
        return config  # the order numbers may have gaps, which are never shown
    return changed(config, modules=[{"id": one, "order": order} for order, one in enumerate(module_ids)])
