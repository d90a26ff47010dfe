"""The Django app of operations."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class CollectorAdminConfig(AppConfig):
    """Registers the app under the label ``collector_admin``; ``admin`` is Django's own."""

    name = "apps.admin"
    label = "collector_admin"
    verbose_name = _("Operations")

    def ready(self) -> None:
        """Register the system checks."""
        from apps.admin import checks  # noqa: F401 - importing registers them
