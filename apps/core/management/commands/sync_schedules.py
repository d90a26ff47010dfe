"""`manage.py sync_schedules`: brings the stored schedules in line with the settings."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from apps.core.management.base import CollectorCommand, ExitCode
from apps.core.printable import list_text
from apps.core.scheduling.schedules import sync_schedules


class Command(CollectorCommand):
    """Upserts every schedule by its name."""

    can_dry_run = True
    help = gettext_noop("Register the product's schedules; times edited in the admin are kept.")
    examples = ("sync_schedules --dry-run",)

    def run(self, **options: Any) -> tuple[Mapping[str, Any], str, ExitCode]:
        """Sync the schedules; returns their names by what was done, and the counts as text."""
        is_dry_run: bool = options["dry_run"]
        result = dataclasses.asdict(sync_schedules(is_dry_run=is_dry_run))
        words = {
            "added": _("%(count)d added"),
            "changed": _("%(count)d changed"),
            "unchanged": _("%(count)d unchanged"),
            "removed": _("%(count)d removed"),
        }
        parts = [words[what] % {"count": len(names)} for what, names in result.items()]
        counted = {"counts": list_text(parts)}
        text = _("Dry run, nothing changed: %(counts)s.") if is_dry_run else _("Schedules: %(counts)s.")
        return result | {"is_dry_run": is_dry_run}, text % counted, ExitCode.DONE
