"""Cancels or retries one collection, for operators."""

from __future__ import annotations

import structlog
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.core import market_clock
from apps.core.errors import Conflict, NotFound
from apps.core.periods import check_begun
from apps.mengla.choices import CollectionStatus, Priority
from apps.mengla.queue import jobs, removal, run_state
from apps.mengla.queue.wakeup import wake_dispatcher
from apps.mengla.store.selectors import find_collection, query_of

audit = structlog.get_logger("collector.audit")

ONLY_QUEUED = gettext_lazy("Only a queued collection can be cancelled.")
ONLY_ENDED = gettext_lazy("Only a failed, empty or cancelled collection can be retried.")
_REPEATABLE = (CollectionStatus.FAILED, CollectionStatus.EMPTY, CollectionStatus.CANCELLED)


def is_repeatable(status: str) -> bool:
    """Whether a collection with this status can be retried: it has ended without figures."""
    return status in _REPEATABLE


def cancel_collection(*, collection_id: str, cancelled_by: str) -> None:
    """Cancel a queued collection; requests that wait for it get an error (502).

    :raises NotFound: when there is no such collection.
    :raises Conflict: when it is not pending.
    """
    collection = find_collection(collection_id)
    if collection is None:
        raise NotFound(_("There is no such collection."))
    if not removal.cancel_pending({"_id": collection["_id"]}, limit=1):
        status = collection["status"]
        raise Conflict(str(ONLY_QUEUED), detail=f"status={status}")
    run_state.close_done(collection["run_ids"])
    audit.info("collection_cancelled", collection_id=collection_id, cancelled_by=cancelled_by)


def retry_collection(*, collection_id: str, requested_by: str) -> str:
    """Enqueue the query of an ended collection again and return the id of its collection under way.

    :raises NotFound: when there is no such collection.
    :raises Conflict: when it has not ended, or has succeeded.
    :raises InvalidInput: when its last period has not begun; older versions accepted such a query.
    """
    collection = find_collection(collection_id)
    if collection is None:
        raise NotFound(_("There is no such collection."))
    if not is_repeatable(collection["status"]):
        detail = f"status={collection['status']}"
        raise Conflict(str(ONLY_ENDED), detail=detail)
    query = query_of(collection)
    check_begun(query.end, market_clock.today())
    # Forced: an empty record counts as fresh for a while, and would end the new collection unsent.
    enqueued = jobs.enqueue(query, priority=Priority.MANUAL, requested_by=requested_by, is_forced=True)
    wake_dispatcher()
    new_id = str(enqueued.collection_id)
    audit.info(
        "collection_retried", collection_id=collection_id, new_collection_id=new_id, requested_by=requested_by
    )
    return new_id
