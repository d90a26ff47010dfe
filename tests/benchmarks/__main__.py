"""Runs the benchmarks: ``python -m tests.benchmarks`` the read path, or the one that is named."""

from __future__ import annotations

import os
import sys
from importlib import import_module

import tests.environment  # noqa: F401 - Django's settings are read after this


def main() -> None:
    """Set Django up before anything of the product is imported."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
    import django

    django.setup()
    name = sys.argv[1] if len(sys.argv) > 1 else "read_path"
    import_module(f"tests.benchmarks.{name}").main()


if __name__ == "__main__":
    main()
