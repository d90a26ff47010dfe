"""The list of all rules, the page of one rule, and the test of the channels."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, gettext_noop, ngettext
from django.views.decorators.http import require_http_methods, require_safe

from apps.admin.alerts.catalogue import keys_of
from apps.admin.alerts.channels.configured import list_channels
from apps.admin.alerts.selectors import find_rule
from apps.admin.alerts.trial import send_test
from apps.admin.choices import AlertRule, name_of
from apps.admin.pages.access import message_of, page, staff_view
from apps.admin.pages.alerts import shown
from apps.core.admin_base.history import note_history
from apps.core.admin_base.rights import may, name_of_user
from apps.core.errors import DomainError
from apps.core.liveness.bounded_reads import Dependency, Part, read_parts
from apps.core.stored_messages import HISTORY

SEE_ALERTS, CHANGE_ALERTS = "collector_admin.view_alert", "collector_admin.change_alert"
_TESTED = HISTORY.register(
    "alert_channels_tested",
    gettext_noop("Sent a test notice. Delivered: %(delivered)d, failed: %(failed)d."),
)


@require_safe
@staff_view(sees=SEE_ALERTS)
def rules_page(request: HttpRequest) -> HttpResponse:
    """Show all rules, also when all is well, and the channels; evaluates nothing."""
    part = read_parts({"alerts": Part(Dependency.MONGODB, shown.list_page)})["alerts"]
    context = {"part": part, "may_change": may(request, CHANGE_ALERTS)}
    return page(request, "alerts/rules.html", context, title=_("Alerts"))


@require_safe
@staff_view(sees=SEE_ALERTS)
def rule_page(request: HttpRequest, key: str) -> HttpResponse:
    """Show one rule: its state, what it watches, its evidence, its history."""
    row = find_rule(key)
    if row is None:
        raise Http404
    if row["key"] not in keys_of(AlertRule(row["rule"])):
        return redirect("admin:collector_alerts")  # it has a page for each data set
    read = partial(shown.rule_page, key, row)
    part = read_parts({"alerts": Part(Dependency.MONGODB, read)})["alerts"]
    context = {
        "part": part,
        "evidence": shown.evidence_links(request, key),
        "may_change": may(request, CHANGE_ALERTS),
    }
    return page(request, "alerts/rule.html", context, title=name_of(row["rule"], row["action"]))


@require_http_methods(["GET", "HEAD", "POST"])
@staff_view(sees=SEE_ALERTS)
def test_page(request: HttpRequest) -> HttpResponse:
    """Ask whether to send a test notice; a POST sends it and shows the result of each channel."""
    if not may(request, CHANGE_ALERTS):
        raise PermissionDenied
    channels, title = list_channels(), _("Send a test")
    question = ngettext(
        "Send a test notice to %(count)d channel?", "Send a test notice to %(count)d channels?", len(channels)
    ) % {"count": len(channels)}
    context: dict[str, Any] = {"channels": channels, "question": question}
    if request.method != "POST":
        return page(request, "alerts/test.html", context, title=title)
    try:
        results = send_test(sent_by=name_of_user(request))
    except DomainError as error:
        context["problem"] = message_of(error)
        return page(request, "alerts/test.html", context, title=title, status=error.code.http_status)
    delivered = sum(one.is_delivered for one in results)
    what = _TESTED(delivered=delivered, failed=len(results) - delivered)
    note_history(request, [], what, about=gettext_lazy("Alerts"))
    return page(request, "alerts/test.html", context | {"results": results}, title=title)
