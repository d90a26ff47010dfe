"""The pages that ask before a rule is silenced, and before its silence ends."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext
from django.views.decorators.http import require_http_methods

from apps.admin.alerts.catalogue import parse_key
from apps.admin.alerts.silences import (
    MAX_MINUTES,
    MAX_REASON,
    end_silence,
    find_silence,
    replaced_text,
    silence_rule,
)
from apps.admin.choices import AlertRule, name_of
from apps.admin.models import AlertSilence
from apps.admin.pages.access import page, staff_view
from apps.admin.pages.alerts.shown import until_text
from apps.admin.pages.alerts.views import CHANGE_ALERTS, SEE_ALERTS
from apps.core.admin_base.history import note_history
from apps.core.admin_base.rights import may, name_of_user
from apps.core.printable import has_unprintable
from apps.core.stored_messages import HISTORY
from apps.core.time_texts import instant_text

_PRESETS_HOURS = (1, 4, 24, 7 * 24)
_DEFAULT_HOURS = 24
_MINUTES_PER_HOUR = 60
_MAX_KEPT = 2000
_MAX_HOURS = MAX_MINUTES // _MINUTES_PER_HOUR
_SILENCED = HISTORY.register("alert_silenced", gettext_noop("Silenced until %(time)s."))
_SILENCED_FOR = HISTORY.register(
    "alert_silenced_for", gettext_noop("Silenced until %(time)s. Reason: %(reason)s")
)
_ENDED = HISTORY.register("alert_silence_ended", gettext_noop("Ended the silence."))


@require_http_methods(["GET", "HEAD", "POST"])
@staff_view(sees=SEE_ALERTS)
def silence_page(request: HttpRequest, key: str) -> HttpResponse:
    """Ask whether to silence a rule, with presets; a POST silences it."""
    rule, action = _rule_of(request, key)
    given = request.POST if request.method == "POST" else request.GET
    # The hours of a POST must be given: an incomplete form must not silence for a day.
    hours, wrong_hours = _hours(given, default="" if request.method == "POST" else str(_DEFAULT_HOURS))
    reason = given.get("reason", "").strip()
    wrong_reason = ""
    if len(reason) > MAX_REASON or has_unprintable(reason):
        wrong_reason = _("Reason: at most %(count)d printable characters.") % {"count": MAX_REASON}
    faults = {name: text for name, text in (("hours", wrong_hours), ("reason", wrong_reason)) if text}
    if request.method == "POST" and not faults:
        user = name_of_user(request)
        until = silence_rule(
            rule, minutes=hours * _MINUTES_PER_HOUR, silenced_by=user, action=action, reason=reason
        )
        time = instant_text(until)
        what = _SILENCED_FOR(time=time, reason=reason) if reason else _SILENCED(time=time)
        note_history(request, [AlertSilence(pk=key)], what)
        text = _("“%(rule)s” is silenced until %(time)s.") % {"rule": name_of(rule, action), "time": time}
        messages.success(request, text)
        return redirect("admin:collector_alerts")
    context = {
        "key": key,
        "whole_rule": rule.value if action else "",
        "question": _question(name_of(rule, action), hours),
        "until": until_text(hours),
        "hours": hours or given.get("hours", "")[:10],
        "reason": reason[:_MAX_KEPT],  # also what is too long, to be shortened
        "max_hours": _MAX_HOURS,
        "max_reason": MAX_REASON,
        "presets": [(one, _hours_text(one), one == hours) for one in _PRESETS_HOURS],
        "replaced": replaced_text(rule, action, minutes=hours * _MINUTES_PER_HOUR) if hours else "",
        "problem": " ".join(faults.values()),
        "faults": faults,
    }
    status = 400 if faults else 200
    return page(request, "alerts/silence.html", context, title=name_of(rule, action), status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@staff_view(sees=SEE_ALERTS)
def end_page(request: HttpRequest, key: str) -> HttpResponse:
    """Ask whether to end a silence; a POST ends it."""
    rule, action = _rule_of(request, key)
    name = name_of(rule, action)
    if request.method == "POST":
        if end_silence(rule, ended_by=name_of_user(request), action=action):
            note_history(request, [AlertSilence(pk=key)], _ENDED())
        messages.success(request, _("“%(rule)s” is no longer silenced.") % {"rule": name})
        return redirect("admin:collector_alerts")
    silence = find_silence(rule, action)
    context = {
        "key": key,
        "question": _("End the silence of “%(rule)s”?") % {"rule": name},
        "silence": silence,
        "until": instant_text(silence["silenced_until"]) if silence else "",
    }
    return page(request, "alerts/end_silence.html", context, title=name)


def _rule_of(request: HttpRequest, key: str) -> tuple[AlertRule, str]:
    if not may(request, CHANGE_ALERTS):
        raise PermissionDenied
    try:
        return parse_key(key)
    except ValueError as error:
        raise Http404 from error


def _hours(given: QueryDict, *, default: str) -> tuple[int, str]:
    """Return the hours, and what is wrong with them."""
    text = given.get("hours", default).strip()
    is_number = text.isascii() and text.isdecimal() and len(text) <= len(str(_MAX_HOURS))
    if is_number and 1 <= int(text) <= _MAX_HOURS:
        return int(text), ""
    return 0, _("Hours: a whole number from 1 to %(most)d.") % {"most": _MAX_HOURS}


def _question(name: str, hours: int) -> str:
    if not hours:
        return _("Silence “%(rule)s”?") % {"rule": name}
    text = ngettext(
        "Silence “%(rule)s” for %(hours)d hour?", "Silence “%(rule)s” for %(hours)d hours?", hours
    )
    return text % {"rule": name, "hours": hours}


def _hours_text(hours: int) -> str:
    if hours > _DEFAULT_HOURS:
        days = hours // 24
        return ngettext("%(count)d day", "%(count)d days", days) % {"count": days}
    return ngettext("%(count)d hour", "%(count)d hours", hours) % {"count": hours}
