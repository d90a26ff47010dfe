#!/usr/bin/env python
"""Entry point of every command of the product."""

import os
import sys


def main() -> int:
    """Run one management command.

    Return 2 when the environment is invalid, and 1 when MongoDB or Redis does not respond; with
    `--traceback`, the latter error is raised.
    """
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from django.conf import settings
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        _ = settings.ENV
    except ImproperlyConfigured as error:
        sys.stderr.write(f"{error}\n")
        return 2
    try:
        execute_from_command_line(sys.argv)
    except Exception as error:
        # Our own commands report an outage themselves; this is for Django's, such as createsuperuser.
        from apps.core.management.servers import no_response_message
        from apps.core.storage.outages import is_mongo_outage, is_redis_outage

        if "--traceback" in sys.argv or not (is_mongo_outage(error) or is_redis_outage(error)):
            raise
        sys.stderr.write(f"{no_response_message(error)}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
