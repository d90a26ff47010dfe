"""`manage.py ensure_admin`: create the first admin user from ADMIN_USERNAME and ADMIN_PASSWORD."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from apps.auth import services
from apps.core.management.base import CollectorCommand, ExitCode


class Command(CollectorCommand):
    """Creates the first admin; a user that exists is left as it is, its password too."""

    help = gettext_noop(
        "Create the admin of ADMIN_USERNAME and ADMIN_PASSWORD, unless a user of that name exists."
    )

    def run(self, **_options: Any) -> tuple[Mapping[str, Any], str, ExitCode]:
        """Ensure the admin and say what was done."""
        admin = services.ensure_admin()
        named = {"username": admin.username}
        if not admin.is_admin:
            self.stderr.write(_("Warning: the user %(username)s exists and is no active admin.") % named)
        summary = (
            _("Created the admin %(username)s.")
            if admin.created
            else _("The user %(username)s exists already.")
        )
        return named | {"created": admin.created}, summary % named, ExitCode.DONE
