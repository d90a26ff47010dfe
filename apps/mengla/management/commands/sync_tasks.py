"""`manage.py sync_tasks`: list, show, cancel and retry runs."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import pymongo
from django.core.management.base import CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from apps.core.management.arguments import one_of, whole_number
from apps.core.management.base import OPERATOR, ExitCode
from apps.core.management.subcommands import SubcommandsMixin
from apps.mengla.dispatch.cancel_all import cancel_all, count_cancellable
from apps.mengla.management.run_commands import CommandResult, FollowingCommand, Options
from apps.mengla.management.run_reports import (
    describe_failures,
    describe_run,
    runs_table,
    summary_of,
)
from apps.mengla.reading.follow import RunView, look_at_run
from apps.mengla.runs.collect import TASK_NAMES
from apps.mengla.runs.planning import preview_retry
from apps.sync_tasks import services as runs
from apps.sync_tasks.choices import Outcome, RunStatus
from apps.sync_tasks.selectors import Obstacles, failures_of, list_runs, progress_of
from apps.sync_tasks.services import Started

_MAX_LISTED = 200
_CANCEL_SECONDS = 3600


class Command(SubcommandsMixin, FollowingCommand):
    """Lists, shows, cancels and retries runs."""

    help = gettext_noop("List, show, cancel or retry sync tasks.")
    subcommands: ClassVar = {
        "list": gettext_noop("list the newest sync tasks"),
        "show": gettext_noop("show one sync task with its progress and failures"),
        "cancel": gettext_noop("cancel a running sync task and its queued collections, or everything"),
        "retry": gettext_noop("retry the failed collections of an ended sync task"),
    }
    examples = (
        "sync_tasks list --outcome completed_with_failures",
        "sync_tasks show 6b05151f1366c3fc496824b0 --wait",
        "sync_tasks cancel --all --dry-run",
    )

    def add_list(self, parser: CommandParser) -> None:
        """Add the filters."""
        parser.add_argument(
            "--status",
            type=one_of(lambda: list(RunStatus.values)),
            metavar="S",
            help=", ".join(RunStatus.values),
        )
        parser.add_argument(
            "--outcome",
            type=one_of(lambda: list(Outcome.values)),
            metavar="O",
            help=", ".join(Outcome.values),
        )
        parser.add_argument(
            "--task-id", type=one_of(lambda: list(TASK_NAMES)), metavar="T", help=", ".join(TASK_NAMES)
        )
        parser.add_argument(
            "--limit",
            type=whole_number(1, _MAX_LISTED),
            default=20,
            metavar="N",
            help=_("number of sync tasks to list, at most %(limit)d (default: %%(default)s)")
            % {"limit": _MAX_LISTED},
        )

    def add_show(self, parser: CommandParser) -> None:
        """Add the sync task, and whether to follow it."""
        _add_id(parser)
        parser.add_argument("--wait", action="store_true", help=_("follow it until it ends"))

    def add_cancel(self, parser: CommandParser) -> None:
        """Add the sync task, or ``--all``."""
        wanted = parser.add_mutually_exclusive_group(required=True)
        wanted.add_argument("id", nargs="?", metavar="ID", help=_("the sync task's id"))
        wanted.add_argument(
            "--all",
            action="store_true",
            dest="is_all",
            help=_(
                "cancel every running sync task and every queued collection, also those of readers; asks, "
                "unless --yes"
            ),
        )
        self.add_confirmation(parser)
        self.add_dry_run(parser)

    def add_retry(self, parser: CommandParser) -> None:
        """Add the sync task, and whether to follow the new one."""
        _add_id(parser)
        self.add_waiting(parser)
        self.add_dry_run(parser)

    def do_list(self, options: Options) -> CommandResult:
        """List runs, the newest first."""
        wanted = {name: options[name] for name in ("status", "outcome", "task_id", "limit")}
        page = list_runs(**wanted)
        obstacles = Obstacles()
        views = [RunView(run, progress_of(run), obstacles.of(run)) for run in page.rows]
        text = runs_table(views) if views else _("No sync tasks found.")
        return {"tasks": [describe_run(view) for view in views]}, text, ExitCode.DONE

    def do_show(self, options: Options) -> CommandResult:
        """Show a run."""
        view = look_at_run(options["id"])
        if options["wait"]:
            return self.follow_if_wanted(Started(str(view.run["_id"]), is_new=False), options)
        failures = failures_of(view.run) if view.progress.failed else []
        result = describe_run(view) | {"failures": describe_failures(failures)}
        return result, summary_of(view, failures), ExitCode.DONE

    def do_cancel(self, options: Options) -> CommandResult:
        """Cancel a run, or everything."""
        if options["is_all"]:
            return self._cancel_all(options)
        if options["dry_run"]:
            view = look_at_run(options["id"])
            text = _("Dry run, nothing cancelled. %(summary)s") % {"summary": summary_of(view)}
            return describe_run(view) | {"is_dry_run": True}, text, ExitCode.DONE
        run = runs.cancel_run(run_id=options["id"], cancelled_by=OPERATOR)
        view = RunView(run, progress_of(run))
        return describe_run(view), summary_of(view), ExitCode.DONE

    def do_retry(self, options: Options) -> CommandResult:
        """Start a run that collects what failed."""
        self.check_waiting(options)
        if options["dry_run"]:
            run_id = str(runs.find_retryable(options["id"])["_id"])
            return self.describe_preview(lambda: preview_retry(run_id))
        return self.start_and_follow(
            lambda: runs.retry_run(run_id=options["id"], requested_by=OPERATOR), options
        )

    def _cancel_all(self, options: Options) -> CommandResult:
        with pymongo.timeout(_CANCEL_SECONDS):
            found = count_cancellable()
            facts = {"runs": found.runs, "collections": found.collections}
            if options["dry_run"]:
                text = _(
                    "Dry run, nothing cancelled. Found %(runs)d running sync tasks and %(collections)d "
                    "queued collections."
                )
                result = dataclasses.asdict(found) | {"is_dry_run": True}
                return result, text % facts, ExitCode.DONE
            question = _(
                "This cancels %(runs)d running sync tasks and %(collections)d queued collections, also "
                "those that readers wait for."
            )
            self.confirm(question % facts, options)
            cancelled = cancel_all(cancelled_by=OPERATOR, max_seconds=_CANCEL_SECONDS)
        text = _(
            "Cancelled %(runs)d sync tasks and %(collections)d collections; %(in_flight)d are in flight and "
            "continue."
        )
        result = dataclasses.asdict(cancelled) | {"is_dry_run": False}
        code = ExitCode.DONE if cancelled.is_complete else ExitCode.PARTLY_FAILED
        return result, text % result, code


def _add_id(parser: CommandParser) -> None:
    parser.add_argument("id", metavar="ID", help=_("the sync task's id"))
