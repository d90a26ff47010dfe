"""Runs the simulator on its own: ``python -m apps.mengla.simulator --port 9000``."""

from __future__ import annotations

import sys

from django.conf import settings

from apps.mengla.simulator.cli import main

if __name__ == "__main__":
    if not settings.configured:
        settings.configure(USE_I18N=False)  # what it says of a bad period needs no language and no settings
    sys.exit(main())
