#!/usr/bin/env python
"""Entry point of every command of the product."""

import os
import sys
from pathlib import Path

# Commands of Django that change the database. Ours check by themselves that it may be used.
_DJANGOS_WRITERS = frozenset(
    {"changepassword", "clearsessions", "createsuperuser", "flush", "loaddata", "remove_stale_contenttypes"}
)


def main() -> int:
    """Run one management command.

    Return 2 when the environment is invalid, and 1 when MongoDB or Redis does not respond; with
    `--traceback`, the latter error is raised.
    """
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    if sys.stderr is None:  # closed by the caller, who wants to see no progress and no errors
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - until the end
    from django.conf import settings
    from django.core.exceptions import ImproperlyConfigured

    from apps.core.errors import ErrorCode
    from apps.core.management.utility import BAD_ARGUMENTS, Utility, print_error

    try:
        _ = settings.ENV
    except ImproperlyConfigured as error:
        print_error(str(error), sys.argv)
        return BAD_ARGUMENTS
    try:
        if sys.argv[1:2] and sys.argv[1] in _DJANGOS_WRITERS and not {"-h", "--help"} & set(sys.argv):
            _require_usable_database()
        Utility(sys.argv).execute()
    except Exception as error:
        # Our own commands report an outage themselves; this is for Django's, such as createsuperuser.
        from apps.core.management.servers import no_response_message
        from apps.core.storage.outages import is_mongo_outage, is_redis_outage

        if "--traceback" in sys.argv or not (is_mongo_outage(error) or is_redis_outage(error)):
            raise
        print_error(no_response_message(error), sys.argv, code=ErrorCode.DEPENDENCY_UNAVAILABLE)
        return 1
    return 0


def _require_usable_database() -> None:
    """End the program with one message if the database must not be used, such as the former program's."""
    import django
    from django.core.management.base import CommandError

    django.setup()
    from apps.core.errors import ErrorCode
    from apps.core.management.database_state import require_usable_database
    from apps.core.management.utility import print_error

    try:
        require_usable_database()
    except CommandError as error:
        print_error(str(error), sys.argv, code=ErrorCode.CONFLICT)
        sys.exit(1)


if __name__ == "__main__":
    sys.exit(main())
