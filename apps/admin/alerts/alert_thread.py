"""What each web process does besides answering: it shows that it lives, and it watches the workers.

One thread per process of ``manage.py serve``. When the checks of the alerts stay away, which is what happens
when all workers are dead, one of the web processes makes them and sends what is to be told.
"""

from __future__ import annotations

import threading
import time

import structlog

from apps.admin.alerts import evaluation, outbox
from apps.core.liveness.processes import RENEW_SECONDS, note_web_process
from apps.core.storage.database.client import heavy_operations
from apps.core.storage.outages import is_mongo_outage

logger = structlog.get_logger(__name__)

LOOK_SECONDS = 15.0
# Web and workers are started together, and the workers may need longer than the web.
GRACE_SECONDS = 60.0
_CHECK_TIMEOUT_SECONDS = 20


def start_watch() -> threading.Thread:
    """Start the thread; it ends with the process."""
    thread = threading.Thread(target=_watch, name="watch", daemon=True)
    thread.start()
    return thread


def look_after_workers() -> bool:
    """Check the alerts if the workers do not; returns whether this call did."""
    with heavy_operations(_CHECK_TIMEOUT_SECONDS):
        result = evaluation.check_if_late()
        if result is None:
            return False
        logger.warning("alert_check_late", fired=result.fired, resolved=result.resolved)
        outbox.deliver_due()
    return True


def _watch() -> None:
    next_look = time.monotonic() + GRACE_SECONDS
    while True:
        try:
            note_web_process()
            if time.monotonic() >= next_look:
                next_look = time.monotonic() + LOOK_SECONDS
                look_after_workers()
        except Exception as error:
            if is_mongo_outage(error):
                logger.warning("watch_without_mongodb", error=type(error).__name__)
            else:
                logger.exception("watch_failed")  # tried again in a moment
        time.sleep(RENEW_SECONDS)
