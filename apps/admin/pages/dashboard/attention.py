"""What needs an operator: taken from the parts of the dashboard, the most serious first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.admin.choices import Severity
from apps.admin.pages.dashboard.links import Links
from apps.admin.scheduler.staleness import Staleness
from apps.core.printable import sentences_text
from apps.core.time_texts import NOTHING, duration_text
from apps.mengla.choices import CollectionStatus
from apps.sync_tasks.choices import Outcome, RunStatus

MAX_REASONS = 8
_ORDER = (Severity.CRITICAL, Severity.WARNING, Severity.INFO)
Parts = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that needs an operator: what it is, more about it, and where to look ("" for nowhere)."""

    severity: Severity
    text: str
    detail: str = ""
    href: str = ""


def problems_of(parts: Parts, links: Links) -> list[Problem]:
    """Return all problems, the most serious first; a part that could not be read is one of them."""
    sources = (_servers, _workers, _service, _webhooks, _alerts, _runs, _schedules, _failures)
    found = [problem for source in sources for problem in source(parts, links)]
    return sorted(found, key=lambda problem: _ORDER.index(problem.severity))


def _servers(parts: Parts, _links: Links) -> Iterator[Problem]:
    for name, label in (("mongodb", "MongoDB"), ("redis", "Redis")):
        if not parts[name]["available"]:
            yield Problem(
                Severity.CRITICAL, _("%(server)s is unavailable") % {"server": label}, parts[name]["error"]
            )
    are_up = parts["mongodb"]["available"] and parts["redis"]["available"]
    unread = [part["error"] for part in parts.values() if not part["available"]]
    if are_up and unread:
        yield Problem(Severity.WARNING, _("Some parts of this page could not be read"), unread[0])


def _workers(parts: Parts, links: Links) -> Iterator[Problem]:
    if not parts["workers"]["available"]:
        return
    if not (rows := parts["workers"]["data"]["rows"]):
        text = _("No worker has ever reported")
    elif rows[0]["is_stale"]:
        text = _("No worker has reported for %(time)s") % {"time": duration_text(rows[0]["age_seconds"])}
    else:
        return
    advice = _("Start one: `manage.py qcluster`, with the same SECRET_KEY and REDIS_URI.")
    yield Problem(Severity.CRITICAL, text, advice, links.to("diagnostics"))


def _service(parts: Parts, links: Links) -> Iterator[Problem]:
    if not parts["breaker"]["available"]:
        return
    breaker = parts["breaker"]["data"]
    href = links.to("collections", status=CollectionStatus.PENDING.value)
    if not breaker["is_configured"]:
        advice = _("Set COLLECT_SERVICE_URL.")
        yield Problem(Severity.WARNING, _("No collection service is configured"), advice)
    elif breaker["state"] != "closed":
        severity = Severity.CRITICAL if breaker["state"] == "open" else Severity.WARNING
        text = _("Breaker open") if breaker["state"] == "open" else _("Breaker half-open")
        yield Problem(severity, text, breaker["message"] or "", href)


def _webhooks(parts: Parts, links: Links) -> Iterator[Problem]:
    if not parts["webhooks"]["available"]:
        return
    refused = parts["webhooks"]["data"]
    if not refused["count"]:
        return
    text = ngettext(
        "%(count)d webhook was refused because of its signature",
        "%(count)d webhooks were refused because of their signature",
        refused["count"],
    )
    advice = ""
    if refused["is_suspicious"]:
        advice = _("WEBHOOK_SECRET probably differs from the collection service's.")
    severity = Severity.CRITICAL if refused["is_suspicious"] else Severity.WARNING
    href = links.to("collections", status=CollectionStatus.DISPATCHED.value)
    yield Problem(severity, text % {"count": refused["count"]}, advice, href)


def _alerts(parts: Parts, links: Links) -> Iterator[Problem]:
    if not parts["alerts"]["available"]:
        return
    for alert in parts["alerts"]["data"]["rows"]:
        name = f"{alert['rule']} ({alert['action']})" if alert["action"] else alert["rule"]
        detail = _("%(message)s Firing since %(time)s.") % {
            "message": alert["message"],
            "time": alert["fired_at"],
        }
        severity = Severity(alert["severity"])
        if alert["silenced_until"]:
            severity = Severity.INFO
            detail = sentences_text(
                (detail, _("Silenced until %(time)s.") % {"time": alert["silenced_until"]})
            )
        yield Problem(severity, _("Alert: %(name)s") % {"name": name}, detail, links.to("alert", alert["id"]))


def _runs(parts: Parts, links: Links) -> Iterator[Problem]:
    """Yield the runs that something holds back, together if for the same reason."""
    if not parts["runs"]["available"]:
        return
    waiting = defaultdict(list)
    for run in parts["runs"]["data"]["rows"]:
        if run["is_held"]:
            waiting[run["waiting"]].append(run)
    for reason, runs in waiting.items():
        if len(runs) == 1:
            text = _("%(name)s is waiting") % {"name": runs[0]["title"]}
            href = links.to("run", runs[0]["id"])
        else:
            text = ngettext("%(count)d sync task is waiting", "%(count)d sync tasks are waiting", len(runs))
            text %= {"count": len(runs)}
            href = links.to("runs", outcome=Outcome.RUNNING.value)
        yield Problem(Severity.WARNING, text, reason, href)


def _schedules(parts: Parts, links: Links) -> Iterator[Problem]:
    if not parts["schedules"]["available"]:
        return
    schedules = parts["schedules"]["data"]
    if not schedules["rows"]:
        advice = _("No schedule is registered: run manage.py sync_schedules.")
        yield Problem(Severity.WARNING, _("No schedules"), advice, links.to("schedules"))
    if schedules["is_paused"]:
        words = {"user": schedules["paused_by"] or NOTHING, "time": schedules["paused_at"]}
        detail = _("By %(user)s, since %(time)s. They start no sync tasks.") % words
        yield Problem(Severity.WARNING, _("All schedules are paused"), detail, links.to("schedules"))
    is_worker_missing = any(_workers(parts, links))
    for row in schedules["rows"]:
        href = links.to("schedule", row["id"])
        name = {"name": row["title"]}
        if row["stale"] == Staleness.PAUSED:
            yield Problem(Severity.WARNING, _("%(name)s is paused") % name, href=href)
        elif row["stale"] == Staleness.OVERDUE and not is_worker_missing:
            detail = _("It was due at %(time)s.") % {"time": row["due_at"]}
            yield Problem(Severity.CRITICAL, _("%(name)s is overdue") % name, detail, href)
        elif row["stale"] == Staleness.MISSED:
            words = {"time": row["due_at"], "last": row["last"]["started_at"] if row["last"] else NOTHING}
            if row["last"]:
                detail = _("It was due at %(time)s, and last ran at %(last)s.") % words
            else:
                detail = _("It was due at %(time)s, and has never run.") % words
            yield Problem(Severity.WARNING, _("%(name)s did not run") % name, detail, href)
        if row["last"] and row["last"]["status"] == RunStatus.FAILED:
            run_id = row["last"]["id"]  # maintenance has none, but a message
            href = links.to("run", run_id) if run_id else links.to("failed_messages")
            text = _("The last run of %(name)s failed") % name
            yield Problem(Severity.WARNING, text, row["last"]["error"], href)


def _failures(parts: Parts, links: Links) -> Iterator[Problem]:
    if not parts["failures"]["available"]:
        return
    failures = parts["failures"]["data"]
    # Those that a retry has made good need nobody.
    reasons = [one for one in failures["reasons"] if one["answered_later"] < one["count"]]
    ended = failures["since"]
    for one in reasons[:MAX_REASONS]:
        text = ngettext(
            "%(count)s collection failed: %(reason)s",
            "%(count)s collections failed: %(reason)s",
            one["count"],
        )
        words = {"count": f"{one['count']:,}", "reason": one["reason"]}
        href = links.to("collections", outcome="failed", error_code=one["code"], ended=ended)
        detail = _("In the last 24 hours.")
        if later := one["answered_later"]:
            made_good = ngettext(
                "%(count)s of them succeeded later.", "%(count)s of them succeeded later.", later
            )
            detail = sentences_text((detail, made_good % {"count": f"{later:,}"}))
        if not failures["is_complete"]:
            detail = sentences_text((detail, _("There are more: not all failures were counted.")))
        yield Problem(Severity.WARNING, text % words, detail, href)
    if len(reasons) > MAX_REASONS:
        href = links.to("collections", outcome="failed", ended=ended)
        yield Problem(Severity.WARNING, _("Collections failed for more reasons"), href=href)
