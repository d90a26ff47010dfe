"""The Django app of logins and API tokens."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AuthConfig(AppConfig):
    """Registers the app under the label ``collector_auth``; ``auth`` is Django's own."""

    name = "apps.auth"
    label = "collector_auth"
    verbose_name = _("API access")

    def ready(self) -> None:
        """Register the system checks, and watch for changes of users."""
        from apps.auth import checks  # noqa: F401 - importing registers them
        from apps.auth.entry.user_changes import watch_users  # late import: it needs the models

        watch_users()
