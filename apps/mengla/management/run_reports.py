"""How the commands describe runs: for people as lines and tables, for programs with the API's field names."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django.utils.translation import gettext as _

from apps.categories.selectors import CategoryNames
from apps.core.management.base import ExitCode
from apps.core.management.colours import Tone, Toned, coloured
from apps.core.management.tables import format_table, printable
from apps.core.printable import list_text
from apps.core.time_texts import duration_text, instant_text, seconds_between, stored_period_text
from apps.mengla.management.arguments import category_text
from apps.mengla.reading.follow import RunView
from apps.sync_tasks.choices import RunStatus, outcome_of
from apps.sync_tasks.words import ERRORS, short_time_left_text, skipped_text, time_left_text
from apps.sync_tasks.work import Failure, Waiting


def describe_run(view: RunView) -> dict[str, Any]:
    """Return the run as the API shows it."""
    run = view.run
    return {
        "id": str(run["_id"]),
        "task_id": run["task_id"],
        "task_name": run["name"],
        "status": run["status"],
        "outcome": outcome_of(run["status"], failed=view.progress.failed).value,
        "trigger": run["trigger"],
        "period": run["period"],
        "progress": dataclasses.asdict(view.progress),
        "waiting": _waiting_json(view.waiting),
        "skipped": run["skipped"],
        "started_at": _instant(run["started_at"]),
        "finished_at": _instant(run["finished_at"]),
        "error_message": ERRORS.shown(run) or None,
        "requested_by": run["requested_by"],
        "retry_of": run["retry_of"] or None,
    }


def describe_failures(failures: Sequence[Failure]) -> list[dict[str, Any]]:
    """Return failed collections as the API shows them, with the names of their categories."""
    names = CategoryNames(one.cat_id for one in failures)
    return [_describe_failure(one) | {"category_name": names.own(one.cat_id) or None} for one in failures]


def _describe_failure(failure: Failure) -> dict[str, Any]:
    described = dataclasses.asdict(failure)
    return {"catId" if name == "cat_id" else name: value for name, value in described.items()}


def exit_code_of(view: RunView) -> ExitCode:
    """Return the exit code of a command that waited for this run."""
    progress = view.progress
    if view.run["status"] != RunStatus.COMPLETED:
        return ExitCode.FAILED
    return ExitCode.PARTLY_FAILED if progress.failed or progress.cancelled else ExitCode.DONE


def facts_of(view: RunView) -> str:
    """Return the text beside a progress bar: counts, pace and the remaining time."""
    progress = view.progress
    facts = [_counts_text(view)]
    if not view.is_ended:
        facts.append(_("%(pace).1f/min") % {"pace": progress.per_minute})
        if view.waiting is None and (time_left := short_time_left_text(progress)):
            facts.append(time_left)
    return list_text(facts)


def summary_of(view: RunView, failures: Sequence[Failure] = ()) -> str:
    """Return the run as one line, its error message, and a table of its failures."""
    run = view.run
    line = _("Sync task %(id)s, %(name)s: %(status)s; %(counts)s of %(total)d") % {
        "id": run["_id"],
        "name": f"{run['name']} {stored_period_text(run['period'])}".strip(),
        "status": coloured(_outcome_name(view), _tone_of(view)),
        "counts": _counts_text(view),
        "total": view.progress.total,
    }
    if run["finished_at"] is not None:
        seconds = seconds_between(run["started_at"], run["finished_at"])
        line += _(", in %(time)s") % {"time": duration_text(seconds)}
    if run["skipped"]:
        line += "; " + skipped_text(run["skipped"])
    lines = [f"{line}."]
    if run["error_message"]:
        lines.append(printable(ERRORS.shown(run)))
    if view.waiting is not None:
        lines.append(waiting_line(view.waiting))
    elif not view.is_ended:
        facts = {"rate": view.progress.per_minute, "time_left": time_left_text(view.progress)}
        lines.append(_("Rate: %(rate).1f per minute; time left: %(time_left)s.") % facts)
    if failures:
        lines += ["", failures_table(failures)]
        if len(failures) < view.progress.failed:
            lines.append(_("... and %(count)d more.") % {"count": view.progress.failed - len(failures)})
    return "\n".join(lines)


def waiting_line(waiting: Waiting) -> str:
    """Return why a run makes no progress, as a line."""
    return _("Waiting: %(reason)s") % {"reason": printable(waiting.message)}


def failures_table(failures: Sequence[Failure]) -> str:
    """Return the failed collections as a table, with their reasons."""
    titles = [_("data set"), _("category"), _("period"), _("attempts"), _("error"), _("reason")]
    names = CategoryNames(one.cat_id for one in failures)
    return format_table(
        titles,
        [
            (
                one.action,
                category_text(one.cat_id, names),
                one.shown_period,
                one.attempts,
                one.error,
                one.message,
            )
            for one in failures
        ],
    )


def runs_table(views: Sequence[RunView]) -> str:
    """Return the runs as a table, one in each row, and what holds back those that run.

    Times are in the market's time zone.
    """
    titles = [
        _("id"),
        _("task"),
        _("period"),
        _("trigger"),
        _("outcome"),
        _("started"),
        _("ended/total"),
        _("failed"),
        _("error"),
    ]
    table = format_table(
        titles,
        [
            (
                view.run["_id"],
                view.run["task_id"],
                stored_period_text(view.run["period"]),
                view.run["trigger"],
                Toned(_outcome_name(view), _tone_of(view)),
                instant_text(view.run["started_at"]),
                f"{view.ended_count}/{view.progress.total}",
                view.progress.failed,
                ERRORS.shown(view.run),
            )
            for view in views
        ],
    )
    reasons = dict.fromkeys(waiting_line(view.waiting) for view in views if view.waiting is not None)
    return "\n".join([table, *reasons])


def _tone_of(view: RunView) -> Tone | None:
    if not view.is_ended:
        return None if view.waiting is None else Tone.NOTICE
    tones = {ExitCode.DONE: Tone.GOOD, ExitCode.PARTLY_FAILED: Tone.NOTICE}
    return tones.get(exit_code_of(view), Tone.BAD)


def _outcome_name(view: RunView) -> str:
    return str(outcome_of(view.run["status"], failed=view.progress.failed).label)


def _counts_text(view: RunView) -> str:
    progress = view.progress
    parts = [
        _("done %(count)d") % {"count": progress.completed},
        _("empty %(count)d") % {"count": progress.empty},
        _("failed %(count)d") % {"count": progress.failed},
    ]
    if progress.cancelled:
        parts.append(_("cancelled %(count)d") % {"count": progress.cancelled})
    if view.is_ended and progress.active:
        parts.append(_("still under way %(count)d") % {"count": progress.active})
    return list_text(parts)


def _waiting_json(waiting: Waiting | None) -> dict[str, Any] | None:
    if waiting is None:
        return None
    return {"code": waiting.code, "message": waiting.message, "since": _instant(waiting.since)}


def _instant(instant: datetime | None) -> str | None:
    return None if instant is None else instant.replace(tzinfo=UTC).isoformat().replace("+00:00", "Z")
