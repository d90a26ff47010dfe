"""`manage.py scheduler`: list the schedules, pause and resume them, and run one now."""

from __future__ import annotations

from typing import Any, ClassVar

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from apps.admin.scheduler.serializers import SchedulerSerializer, SwitchedSerializer
from apps.admin.scheduler.services import (
    ScheduleView,
    already_text,
    pause_scheduler,
    read_scheduler,
    resume_scheduler,
)
from apps.core import market_clock
from apps.core.management.arguments import one_of
from apps.core.management.base import OPERATOR, ExitCode
from apps.core.management.colours import Tone, Toned
from apps.core.management.subcommands import Options, Result, SubcommandsMixin
from apps.core.management.tables import format_table
from apps.core.printable import list_text
from apps.core.scheduling.cron import describe_cron
from apps.core.scheduling.schedules import declared_schedules, pause_schedule, resume_schedule
from apps.core.storage.flags import Flag
from apps.core.time_texts import instant_text
from apps.mengla.management.run_commands import ORDER, FollowingCommand
from apps.mengla.runs.planning import preview_plan
from apps.panels.selectors import find_task
from apps.panels.services import run_task
from apps.sync_tasks.choices import Outcome
from apps.sync_tasks.selectors import find_outcome

_ALL = "all"
_TONES = {
    Outcome.COMPLETED: Tone.GOOD,
    Outcome.COMPLETED_WITH_FAILURES: Tone.NOTICE,
    Outcome.FAILED: Tone.BAD,
    Outcome.CANCELLED: Tone.BAD,
    "succeeded": Tone.GOOD,
    "failed": Tone.BAD,
}


class Command(SubcommandsMixin, FollowingCommand):
    """Shows the schedules, pauses, resumes and starts them."""

    help = gettext_noop("List the schedules, pause or resume one or all of them, or run one now.")
    subcommands: ClassVar = {
        "list": gettext_noop("list the schedules with their last and next run"),
        "pause": gettext_noop("start no sync tasks until it is resumed; the queue continues"),
        "resume": gettext_noop(
            "run again from the next time on; one that was paused by its name is resumed by its name"
        ),
        "run": gettext_noop("start the sync task of a schedule now, also while it is paused"),
    }
    asking = frozenset({"pause", "resume", "run"})
    examples = (
        "scheduler list",
        "scheduler pause --yes",
        "scheduler resume monthly_collect --yes",
        "scheduler run backfill_check --dry-run",
    )

    def add_pause(self, parser: CommandParser) -> None:
        """Add which schedule."""
        _add_schedule(parser)

    def add_resume(self, parser: CommandParser) -> None:
        """Add which schedule."""
        _add_schedule(parser)

    def add_run(self, parser: CommandParser) -> None:
        """Add which schedule, and how to follow it."""
        parser.add_argument(
            "name", type=one_of(_names_with_runs), metavar="NAME", help=", ".join(_names_with_runs())
        )
        self.add_waiting(parser)
        self.add_dry_run(parser)

    def do_list(self, _options: Options) -> Result:
        """List the schedules, the next one first."""
        view = read_scheduler()
        titles = [_("name"), _("when"), _("state"), _("last run"), _("outcome"), _("next run")]
        lines = [format_table(titles, [_row(one) for one in view.schedules])]
        if view.pause.is_set:
            lines += ["", _paused_line(view.pause)]
        return SchedulerSerializer(view).data, "\n".join(lines), ExitCode.DONE

    def do_pause(self, options: Options) -> Result:
        """Pause one schedule, or all that start sync tasks."""
        return self._set_paused(options, is_paused=True)

    def do_resume(self, options: Options) -> Result:
        """Resume one schedule, or the switch of all; says what is still paused by the other one."""
        result, text, code = self._set_paused(options, is_paused=False)
        name, view = options["name"], read_scheduler()
        own = [
            one.schedule.name for one in view.schedules if one.is_paused and name in (_ALL, one.schedule.name)
        ]
        lines = [text]
        if own and view.pause.is_set:
            lines.append(_("It does not run yet. %(all_paused)s") % {"all_paused": _paused_line(view.pause)})
        elif own:
            lines.append(_("Still paused by name: %(names)s.") % {"names": list_text(own)})
        return {**result, "still_paused": own}, "\n".join(lines), code

    def do_run(self, options: Options) -> Result:
        """Start the sync task of a schedule for the current date of the market."""
        self.check_waiting(options)
        name = options["name"]
        plan = find_task(name).plan(market_clock.today())
        if options["dry_run"]:
            return self.describe_preview(lambda: preview_plan(plan))
        facts = {"name": name, "count": plan.count()}
        self.confirm(_("Run %(name)s now? This queues up to %(count)d collections.") % facts, options)
        return self.start_and_follow(lambda: run_task(name, order=ORDER), options)

    def _set_paused(self, options: Options, *, is_paused: bool) -> Result:
        name = options["name"]
        if name == _ALL:
            question = _("Pause all schedules?") if is_paused else _("Resume all schedules?")
            self.confirm(question, options)
            done = pause_scheduler(paused_by=OPERATOR) if is_paused else resume_scheduler(resumed_by=OPERATOR)
            text = _paused_line(done.pause) if is_paused else _("The schedules run again.")
            if not done.is_changed:
                text = already_text(done.pause)
            return {"name": _ALL, **SwitchedSerializer(done).data}, text, ExitCode.DONE
        question = _("Pause %(name)s?") if is_paused else _("Resume %(name)s?")
        self.confirm(question % {"name": name}, options)
        if is_paused:
            is_changed = pause_schedule(name, paused_by=OPERATOR)
            text = _("Paused %(name)s.") if is_changed else _("%(name)s is already paused.")
        else:
            is_changed = resume_schedule(name, resumed_by=OPERATOR)
            text = _("Resumed %(name)s.") if is_changed else _("%(name)s is not paused.")
        return (
            {"name": name, "paused": is_paused, "changed": is_changed},
            text % {"name": name},
            ExitCode.DONE,
        )


def _names_with_runs() -> list[str]:
    """Return the schedules that start sync tasks; the others maintain the installation."""
    return [one.name for one in declared_schedules() if one.intended_date_kwarg is not None]


def _add_schedule(parser: CommandParser) -> None:
    parser.add_argument(
        "name",
        nargs="?",
        default=_ALL,
        type=one_of(lambda: [_ALL, *_names_with_runs()]),
        metavar="NAME",
        help=_("one of %(names)s (default: all)") % {"names": list_text([_ALL, *_names_with_runs()])},
    )


def _paused_line(flag: Flag) -> str:
    facts = {"user": flag.changed_by, "at": instant_text(flag.changed_at)}
    return _("All schedules are paused, by %(user)s at %(at)s.") % facts


def _row(view: ScheduleView) -> tuple[object, ...]:
    schedule = view.schedule
    last: Any = view.last_run
    if last is not None:
        found = find_outcome(last)
        began_at, outcome = last["started_at"], Toned(str(found.label), _TONES.get(found))
    elif not schedule.obeys_pause and schedule.last_task is not None:
        task = schedule.last_task
        labels = {"succeeded": _("succeeded"), "failed": _("failed"), "unfinished": _("not finished")}
        began_at, outcome = task.started_at, Toned(labels[task.state], _TONES.get(task.state))
    else:
        began_at, outcome = None, Toned("", None)
    state = Toned(_("Paused"), Tone.NOTICE) if view.is_paused else Toned(_("On"), Tone.GOOD)
    return (
        schedule.name,
        describe_cron(schedule.cron),
        state,
        instant_text(began_at),
        outcome,
        "" if view.is_paused else instant_text(schedule.next_run_at),
    )
