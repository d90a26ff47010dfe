"""Django's `migrate`, allowed to take as long as building an index takes."""

from __future__ import annotations

from typing import Any

import pymongo
from django.core.management.commands import migrate

from apps.core.management.servers import require_mongo

_OPERATION_TIMEOUT_SECONDS = 24 * 3600


class Command(migrate.Command):
    """Each database operation may take longer than the settings allow a web request."""

    def handle(self, *args: Any, **options: Any) -> None:
        """Run Django's command under the longer limit, once MongoDB answers.

        :raises CommandError: when it does not; under the long limit PyMongo would look for it just as long.
        """
        require_mongo()
        with pymongo.timeout(_OPERATION_TIMEOUT_SECONDS):
            super().handle(*args, **options)
