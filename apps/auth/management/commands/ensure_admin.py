"""`manage.py ensure_admin`: create the first admin user from ADMIN_USERNAME and ADMIN_PASSWORD."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from apps.auth import services
from apps.core.management.base import CollectorCommand, ExitCode


class Command(CollectorCommand):
    """Creates the first admin; an existing user and its password are not changed."""

    help = gettext_noop(
        "Create the admin user from ADMIN_USERNAME and ADMIN_PASSWORD, unless a user with that name exists."
    )
    examples = ("ensure_admin",)

    def run(self, **_options: Any) -> tuple[Mapping[str, Any], str, ExitCode]:
        """Create the admin if it does not exist, and return what was done."""
        admin = services.ensure_admin()
        named = {"username": admin.username}
        if not admin.is_admin:
            self.stderr.write(_("Warning: the user %(username)s exists but is not an active admin.") % named)
        summary = (
            _("Created the admin %(username)s.")
            if admin.created
            else _("The user %(username)s already exists.")
        )
        return named | {"created": admin.created}, summary % named, ExitCode.DONE
