#!/usr/bin/env python
"""Entry point of every command of the product."""

import os
import sys


def main() -> int:
    """Run one management command.

    A bad environment ends it with exit status 2, a server that does not answer with 1: in words, without a
    traceback unless `--traceback` asks for one.
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
        # Our own commands have said it already; this is for those of Django, such as createsuperuser.
        from apps.core.management.servers import silence_message
        from apps.core.storage.outages import is_mongo_outage, is_redis_outage

        if "--traceback" in sys.argv or not (is_mongo_outage(error) or is_redis_outage(error)):
            raise
        sys.stderr.write(f"{silence_message(error)}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
