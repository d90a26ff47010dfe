"""`manage.py diagnose`: check the installation and say what to do about each failure."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from apps.core.management.base import CollectorCommand, ExitCode
from apps.core.management.colours import Tone, Toned
from apps.core.management.tables import format_table
from apps.core.printable import labelled, list_text
from apps.mengla.monitoring.diagnose import CheckResult, diagnose


class Command(CollectorCommand):
    """Runs the diagnosis, also while MongoDB, Redis or the service is down."""

    help = gettext_noop(
        "Check MongoDB, Redis, the collection service, the worker, the webhook and more. Changes nothing."
    )
    examples = ("diagnose --json",)
    needs_mongo = False
    # The checks run in threads with limits of their own.
    operation_timeout_seconds = None

    def run(self, **_options: Any) -> tuple[Mapping[str, Any], str, ExitCode]:
        """Run the checks and describe the results."""
        results = diagnose()
        failed = [result for result in results if not result.is_ok]
        lines = [
            format_table(
                [_("check"), _("state"), _("ms"), _("found")],
                [(one.name, _state(one), one.latency_ms, one.detail) for one in results],
            ),
            "",
            *_advice(failed),
            _("All checks passed.")
            if not failed
            else _("%(failed)d of %(all)d checks failed.") % {"failed": len(failed), "all": len(results)},
        ]
        result = {"is_ok": not failed, "checks": [dataclasses.asdict(one) for one in results]}
        return result, "\n".join(lines), ExitCode.FAILED if failed else ExitCode.DONE


def _state(check: CheckResult) -> Toned:
    return Toned(_("ok"), Tone.GOOD) if check.is_ok else Toned(_("FAILED"), Tone.BAD)


def _advice(failed: Sequence[CheckResult]) -> list[str]:
    """Return one line for each advice, with the names of its checks: one outage fails several checks."""
    names: dict[str, list[str]] = {}
    for one in failed:
        names.setdefault(one.advice, []).append(one.name)
    return [labelled(list_text(listed), advice) for advice, listed in names.items()]
