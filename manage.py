#!/usr/bin/env python
"""Entry point of every command of the product."""

import os
import sys


def main() -> int:
    """Run one management command; a bad environment ends it with exit status 2 and no traceback."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from django.conf import settings
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        _ = settings.ENV
    except ImproperlyConfigured as error:
        sys.stderr.write(f"{error}\n")
        return 2
    execute_from_command_line(sys.argv)
    return 0


if __name__ == "__main__":
    sys.exit(main())
