"""`manage.py diffsettings`: Django's command, without the secrets."""

from __future__ import annotations

import dataclasses
from typing import Any

from django.conf import settings
from django.core.management.commands import diffsettings


class Command(diffsettings.Command):
    """Prints the settings; wherever the value of a secret variable stands, it is masked."""

    def handle(self, **options: Any) -> str:
        """Return the lines of the settings."""
        text = super().handle(**options)
        environment = settings.ENVIRONMENT
        values = [getattr(environment, one.name) for one in dataclasses.fields(environment) if not one.repr]
        secrets = {one for value in values for one in (value if isinstance(value, tuple) else (value,))}
        for secret in sorted(filter(None, secrets), key=len, reverse=True):
            text = text.replace(repr(secret)[1:-1], "********")
        return text
