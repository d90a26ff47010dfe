"""Runs the simulator on its own: ``python -m apps.mengla.simulator --port 9000``."""

from __future__ import annotations

import sys

from apps.mengla.simulator.cli import main

if __name__ == "__main__":
    sys.exit(main())
