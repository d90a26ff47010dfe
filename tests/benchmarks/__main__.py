"""Runs the benchmarks: ``python -m tests.benchmarks``."""

from __future__ import annotations

import os

import tests.environment  # noqa: F401 - Django's settings are read after this


def main() -> None:
    """Set Django up before anything of the product is imported."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
    import django

    django.setup()
    from tests.benchmarks import read_path

    read_path.main()


if __name__ == "__main__":
    main()
