"""Django's `migrate`, with a time limit that is long enough to build an index."""

from __future__ import annotations

from typing import Any

import pymongo
from django.core.management.commands import migrate

from apps.core.management.servers import require_mongo

_OPERATION_TIMEOUT_SECONDS = 24 * 3600


class Command(migrate.Command):
    """Runs each database operation under a longer limit than that of web requests."""

    def handle(self, *args: Any, **options: Any) -> None:
        """Check that MongoDB answers, then run Django's command under the longer limit.

        Without the check, PyMongo would search for MongoDB until the longer limit ends.

        :raises CommandError: when MongoDB does not respond.
        """
        require_mongo()
        with pymongo.timeout(_OPERATION_TIMEOUT_SECONDS):
            super().handle(*args, **options)
