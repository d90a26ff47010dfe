"""`manage.py sync_tasks`: list, show, cancel and retry runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from apps.core.management.arguments import one_of, whole_number
from apps.core.management.base import ExitCode
from apps.mengla.management.run_commands import REQUESTED_BY, CommandResult, FollowingCommand, Options
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


class Command(FollowingCommand):
    """Lists, shows, cancels and retries runs."""

    help = gettext_noop("List, show, cancel or retry sync tasks.")

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the subcommands; the common options belong to each of them."""
        kinds = parser.add_subparsers(dest="subcommand", required=True, metavar="list|show|cancel|retry")
        self._add_list(kinds.add_parser("list", help=_("list the newest sync tasks"), allow_abbrev=False))
        show = self._add_one(kinds, "show", _("show one sync task with its progress and failures"))
        show.add_argument("--wait", action="store_true", help=_("follow it until it ends"))
        self._add_one(kinds, "cancel", _("cancel a running sync task and its waiting collections"))
        retry = self._add_one(kinds, "retry", _("retry the failed collections of an ended sync task"))
        self.add_waiting(retry)
        self.add_dry_run(retry)

    def run(self, **options: Any) -> CommandResult:
        """Run the subcommand."""
        subcommands: Mapping[str, Callable[[Options], CommandResult]] = {
            "list": self._list,
            "show": self._show,
            "cancel": self._cancel,
            "retry": self._retry,
        }
        return subcommands[options["subcommand"]](options)

    def _add_list(self, parser: CommandParser) -> None:
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
        super().add_arguments(parser)

    def _add_one(self, kinds: Any, name: str, help_text: str) -> CommandParser:
        parser: CommandParser = kinds.add_parser(name, help=help_text, allow_abbrev=False)
        parser.add_argument("id", metavar="ID", help=_("the sync task's id"))
        super().add_arguments(parser)
        return parser

    def _list(self, options: Options) -> CommandResult:
        wanted = {name: options[name] for name in ("status", "outcome", "task_id", "limit")}
        page = list_runs(**wanted)
        obstacles = Obstacles()
        views = [RunView(run, progress_of(run), obstacles.of(run)) for run in page.rows]
        text = runs_table(views) if views else _("No sync tasks found.")
        return {"tasks": [describe_run(view) for view in views]}, text, ExitCode.DONE

    def _show(self, options: Options) -> CommandResult:
        view = look_at_run(options["id"])
        if options["wait"]:
            return self.follow_if_wanted(Started(str(view.run["_id"]), is_new=False), options)
        failures = failures_of(view.run) if view.progress.failed else []
        result = describe_run(view) | {"failures": describe_failures(failures)}
        return result, summary_of(view, failures), ExitCode.DONE

    def _cancel(self, options: Options) -> CommandResult:
        run = runs.cancel_run(run_id=options["id"], cancelled_by=REQUESTED_BY)
        view = RunView(run, progress_of(run))
        return describe_run(view), summary_of(view), ExitCode.DONE

    def _retry(self, options: Options) -> CommandResult:
        self.check_waiting(options)
        if options["dry_run"]:
            run_id = str(runs.find_retryable(options["id"])["_id"])
            return self.describe_preview(lambda: preview_retry(run_id))
        return self.start_and_follow(
            lambda: runs.retry_run(run_id=options["id"], requested_by=REQUESTED_BY), options
        )
