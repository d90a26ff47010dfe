"""The background thread of a web process: it reports the process as alive, and watches the alert checks.

Each process of ``manage.py serve`` has one such thread. Workers check the alerts. When the checks are late,
for example because all workers are dead, one of the web processes checks the alerts and sends the notices.
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

CHECK_INTERVAL_SECONDS = 15.0
# Web and worker processes start together, and the workers may need longer.
GRACE_SECONDS = 60.0
_CHECK_TIMEOUT_SECONDS = 20


def start_watch() -> threading.Thread:
    """Start the thread; it ends with the process."""
    thread = threading.Thread(target=_watch, name="watch", daemon=True)
    thread.start()
    return thread


def check_alerts_if_late() -> bool:
    """Check the alerts if the workers have not done so in time; returns whether this call checked them."""
    with heavy_operations(_CHECK_TIMEOUT_SECONDS):
        result = evaluation.check_if_late()
        if result is None:
            return False
        logger.warning("alert_check_late", fired=result.fired, resolved=result.resolved)
        outbox.deliver_due()
    return True


def _watch() -> None:
    next_check = time.monotonic() + GRACE_SECONDS
    while True:
        try:
            note_web_process()
            if time.monotonic() >= next_check:
                next_check = time.monotonic() + CHECK_INTERVAL_SECONDS
                check_alerts_if_late()
        except Exception as error:
            if is_mongo_outage(error):
                logger.warning("watch_without_mongodb", error=type(error).__name__)
            else:
                logger.exception("watch_failed")  # the next round tries again
        time.sleep(RENEW_SECONDS)
