"""The import of the category tree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

import pymongo
import structlog
from django.utils import timezone
from django.utils.translation import gettext as _
from redis import RedisError

from apps.categories import bulk, tree_file
from apps.categories.models import Category
from apps.categories.tree_file import CategoryRow
from apps.core.caching.tiers import clear_all
from apps.core.errors import Conflict, DependencyUnavailable
from apps.core.storage.locks import lease_of

IMPORT_TIMEOUT_SECONDS: Final = 25.0
# Longer than the writes may take, so that the lease does not expire while its owner writes. A killed import
# blocks the next one for at most this long.
_LEASE_SECONDS: Final = 30.0
_LEASE_WAIT_SECONDS: Final = 35.0

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportResult:
    """What an import did, or would do; ``total`` is the number of categories afterwards.

    ``are_caches_cleared`` is False when Redis does not respond: other processes may then serve the previous
    tree for up to a minute.
    """

    added: int
    changed: int
    removed: int
    unchanged: int
    total: int
    are_caches_cleared: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class _Plan:
    added: Sequence[CategoryRow]
    changed: Sequence[CategoryRow]
    removed: frozenset[str]
    total: int

    def result(self, *, are_caches_cleared: bool = True) -> ImportResult:
        return ImportResult(
            added=len(self.added),
            changed=len(self.changed),
            removed=len(self.removed),
            unchanged=self.total - len(self.added) - len(self.changed),
            total=self.total,
            are_caches_cleared=are_caches_cleared,
        )


def import_categories(*, nodes: Any, is_dry_run: bool = False) -> ImportResult:
    """Make the stored tree equal to the given one, which is parsed JSON.

    Everything is checked before anything is written. The writes are upserts by id followed by removals,
    so an import that was killed halfway can be run again to complete it.

    :raises InvalidCategoryFile: when the tree is not valid; nothing was changed.
    :raises Conflict: when another import does not end in time; nothing was changed.
    :raises DependencyUnavailable: when Redis, which holds the import's lease, is down; nothing was changed.
    """
    rows = tree_file.build_rows(nodes)
    if is_dry_run:
        return _plan(rows).result()
    with _only_import(), pymongo.timeout(IMPORT_TIMEOUT_SECONDS):
        plan = _plan(rows)
        bulk.upsert_rows([*plan.added, *plan.changed], updated_at=timezone.now())
        bulk.remove_ids(plan.removed)
    # Also without a change: a previous import may have been killed before it cleared the caches.
    result = plan.result(are_caches_cleared=clear_caches())
    logger.info(
        "categories_imported",
        added=result.added,
        changed=result.changed,
        removed=result.removed,
        unchanged=result.unchanged,
    )
    return result


def clear_caches() -> bool:
    """Invalidate the cache entries of every process; False when Redis does not respond."""
    return clear_all()


def _plan(rows: Sequence[CategoryRow]) -> _Plan:
    stored = dict(Category.objects.order_by().values_list("cat_id", "data_hash"))
    return _Plan(
        added=[row for row in rows if row.cat_id not in stored],
        changed=[row for row in rows if stored.get(row.cat_id, row.data_hash) != row.data_hash],
        removed=frozenset(stored.keys() - {row.cat_id for row in rows}),
        total=len(rows),
    )


@contextmanager
def _only_import() -> Iterator[None]:
    """Let one import at a time write, in the whole installation."""
    lease = lease_of("categories-import", ttl_seconds=_LEASE_SECONDS)
    try:
        if not lease.acquire():
            logger.info("categories_import_waits", reason="another import runs or was killed just now")
            if not lease.acquire(blocking=True, blocking_timeout=_LEASE_WAIT_SECONDS):
                raise Conflict(_("Another import of categories is under way; nothing was changed."))
    except RedisError as error:
        raise DependencyUnavailable(
            _("Redis does not respond; nothing was changed."), detail=type(error).__name__
        ) from error
    try:
        yield
    finally:
        with suppress(RedisError):  # the lease expires by itself
            lease.release()
