"""Start-up of the shared kernel."""

from __future__ import annotations

from django.apps import AppConfig


class CoreConfig(AppConfig):
    """Registers what every process of the product needs."""

    name = "apps.core"
    label = "core"

    def ready(self) -> None:
        """Make forks safe for MongoDB clients and register the system checks."""
        from apps.core import checks  # noqa: F401 - importing registers them
        from apps.core.mongo import forget_clients_after_fork

        forget_clients_after_fork()
