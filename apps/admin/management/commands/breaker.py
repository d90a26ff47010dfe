"""`manage.py breaker`: show the circuit breaker of the collection service, and close it."""

from __future__ import annotations

from typing import Any, ClassVar

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from apps.admin.breaker.serializers import BreakerListSerializer
from apps.core.management.base import OPERATOR, ExitCode
from apps.core.management.colours import Tone, coloured
from apps.core.management.subcommands import Options, Result, SubcommandsMixin
from apps.core.management.tables import printable
from apps.core.time_texts import instant_text
from apps.mengla.dispatch.breaker_control import BreakerStatus, read_breaker, reset_breaker

_TONES = {"closed": Tone.GOOD, "half_open": Tone.NOTICE, "open": Tone.BAD}


class Command(SubcommandsMixin):
    """Shows and resets the breaker."""

    help = gettext_noop(
        "Show or reset the circuit breaker, which stops all requests while the collection service is down."
    )
    subcommands: ClassVar = {
        "show": gettext_noop("show its state, the reason and the next probe"),
        "reset": gettext_noop("close it; queued collections are sent at once"),
    }
    asking = frozenset({"reset"})
    examples = ("breaker show", "breaker reset --yes")
    needs_mongo = False  # it is in Redis
    checks_database = False

    def do_show(self, _options: Options) -> Result:
        """Show the breaker."""
        return _shown(read_breaker())

    def do_reset(self, options: Options) -> Result:
        """Close the breaker."""
        self.confirm(_("Close the circuit breaker now? Queued collections are sent at once."), options)
        is_changed = reset_breaker(reset_by=OPERATOR)
        result, text, code = _shown(read_breaker())
        if not is_changed:
            text = _("There was nothing to reset.") + "\n" + text
        return {**result, "changed": is_changed}, text, code


def _shown(status: BreakerStatus) -> Result:
    states = {"closed": _("closed"), "open": _("open"), "half_open": _("half-open")}
    state = coloured(states[status.state], _TONES[status.state])
    lines = [_("Circuit breaker of the collection service: %(state)s.") % {"state": state}]
    if status.message:
        lines.append(printable(status.message))
    if status.since is not None:
        facts = {"reason": status.reason, "at": instant_text(status.since)}
        lines.append(_("Reason: %(reason)s, since %(at)s.") % facts)
    counts = {
        "failures": status.failures,
        "failure_threshold": status.failure_threshold,
        "successes": status.successes,
        "success_threshold": status.success_threshold,
    }
    if status.state == "closed":
        lines.append(_("Failures in a row: %(failures)d; it opens at %(failure_threshold)d.") % counts)
    else:
        lines.append(
            _("Successful probes in a row: %(successes)d; it closes at %(success_threshold)d.") % counts
        )
    if status.next_probe_at is not None:
        lines.append(_("Next probe: %(at)s.") % {"at": instant_text(status.next_probe_at)})
    result: dict[str, Any] = dict(BreakerListSerializer({"breakers": [status]}).data)
    return result, "\n".join(lines), ExitCode.DONE
