"""The base classes of the commands that start or follow runs: dry run, start, progress, clean stop."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from typing import Any

import pymongo
from django.core.management.base import CommandParser
from django.utils.translation import gettext as _

from apps.categories.selectors import CategoryNames
from apps.core.errors import Conflict, InvalidInput, NotFound
from apps.core.liveness.processes import has_clusters
from apps.core.management.base import OPERATOR, CollectorCommand, ExitCode, Stopped
from apps.core.management.database_state import missing_migrations, not_applied_message
from apps.core.management.tables import printable
from apps.core.printable import list_text
from apps.core.time_texts import stored_period_text
from apps.mengla.dispatch.waiting import WaitingCode
from apps.mengla.management.arguments import category_text
from apps.mengla.management.run_reports import (
    describe_failures,
    describe_run,
    exit_code_of,
    facts_of,
    summary_of,
)
from apps.mengla.queries.data_query import ALL_CATEGORIES
from apps.mengla.queries.plans import Plan
from apps.mengla.reading.follow import RunView, follow_run, look_at_run
from apps.mengla.runs.collect import Order, start
from apps.mengla.runs.planning import Preview, preview_plan
from apps.sync_tasks import services as runs
from apps.sync_tasks.selectors import failures_of
from apps.sync_tasks.services import Started
from apps.sync_tasks.words import skipped_text

CommandResult = tuple[Mapping[str, Any], str, ExitCode]
Options = Mapping[str, Any]

ORDER = Order(requested_by=OPERATOR)
# After so long without an ended collection, a hint names the likely cause.
_QUIET_SECONDS = 10.0
_PREVIEW_SECONDS = 3600


class FollowingCommand(CollectorCommand):
    """A command that can wait for the end of a run."""

    argument_errors = (InvalidInput, NotFound)
    operation_timeout_seconds = None

    def add_waiting(self, parser: CommandParser) -> None:
        """Add ``--wait`` and ``--cancel-on-exit``."""
        parser.add_argument(
            "--wait",
            action="store_true",
            help=_("Follow the sync task until it ends. Ctrl-C ends the command, not the sync task."),
        )
        parser.add_argument(
            "--cancel-on-exit", action="store_true", help=_("With --wait: Ctrl-C also cancels the sync task.")
        )

    def check_waiting(self, options: Options) -> None:
        """Check that the options of waiting go together.

        :raises InvalidInput: for ``--cancel-on-exit`` without ``--wait``.
        """
        if options["cancel_on_exit"] and not options["wait"]:
            raise InvalidInput(_("--cancel-on-exit requires --wait."))

    def start_and_follow(self, start: Callable[[], Started], options: Options) -> CommandResult:
        """Start a run, then do as :meth:`follow_if_wanted`; a signal takes effect only after the start.

        :raises Conflict: when migrations are missing: no worker starts without them, so nothing would run.
        """
        if missing := missing_migrations():
            raise Conflict(not_applied_message(len(missing)))
        started: Started | None = None
        try:
            with self.signals.deferred():
                started = start()
        except Stopped as stopped:
            if started is None:
                raise
            return self._stopped(started.run_id, stopped, is_cancelled=options["cancel_on_exit"])
        return self.follow_if_wanted(started, options)

    def follow_if_wanted(self, started: Started, options: Options) -> CommandResult:
        """Return the started run, or with ``--wait`` follow it and return how it ended."""
        try:
            if not options["wait"]:
                return self._started(started)
            return self._ended(self._follow(started.run_id, options))
        except Stopped as stopped:
            return self._stopped(started.run_id, stopped, is_cancelled=options.get("cancel_on_exit", False))

    def describe_preview(self, read_preview: Callable[[], Preview]) -> CommandResult:
        """Return what a run would do."""
        with pymongo.timeout(_PREVIEW_SECONDS):
            preview = read_preview()
        result = {
            "is_dry_run": True,
            "total": preview.total,
            "to_collect": preview.to_collect,
            "skipped": preview.skipped,
        }
        facts = {"count": preview.to_collect, "total": preview.total}
        text = _("Dry run, nothing started: %(count)d of %(total)d collections would be planned.") % facts
        if preview.skipped:
            text = _(
                "Dry run, nothing started: %(count)d of %(total)d collections would be planned; %(skipped)s."
            ) % (facts | {"skipped": skipped_text(preview.skipped)})
        return result, text, ExitCode.DONE

    def _started(self, started: Started) -> CommandResult:
        view = look_at_run(started.run_id)
        name = _(view.run["name"])
        text = _("Started sync task %(id)s, %(name)s: up to %(total)d collections.\n%(how)s") % {
            "id": started.run_id,
            "name": f"{name} {stored_period_text(view.run['period'])}".strip(),
            "total": view.run["expected_total"],
            "how": _next_commands(started.run_id),
        }
        return describe_run(view), text, ExitCode.DONE

    def _follow(self, run_id: str, options: Options) -> RunView:
        last: RunView | None = None
        hints = _Hints()
        with self.progress(_("Collecting"), options) as display:
            display.note(_("Sync task %(id)s") % {"id": run_id})
            for view in follow_run(run_id):
                if view is None:
                    hints.note_once(display, _("MongoDB does not respond; retrying."))
                    continue
                last = view
                display.show(done=view.ended_count, total=view.progress.total, facts=facts_of(view))
                if hints.is_due(view) and (hint := _hint(view)):
                    hints.note_once(display, *hint)
        if last is None:
            raise NotFound(_("There is no such sync task."))
        return last

    def _ended(self, view: RunView) -> CommandResult:
        failures = failures_of(view.run) if view.progress.failed else []
        result = describe_run(view) | {"failures": describe_failures(failures)}
        return result, summary_of(view, failures), exit_code_of(view)

    def _stopped(self, run_id: str, stopped: Stopped, *, is_cancelled: bool) -> CommandResult:
        """Stop following: cancel the run, or let it go on in the worker."""
        if is_cancelled:
            with contextlib.suppress(Conflict):  # it may have ended in the meantime
                runs.cancel_run(run_id=run_id, cancelled_by=OPERATOR)
            view = look_at_run(run_id)
            return describe_run(view) | {"stopped_by": stopped.signal_name}, summary_of(view), ExitCode.FAILED
        text = _("Stopped by %(signal)s. Sync task %(id)s continues in the worker.\n%(how)s") % {
            "signal": stopped.signal_name,
            "id": run_id,
            "how": _next_commands(run_id),
        }
        return {"id": run_id, "stopped_by": stopped.signal_name}, text, ExitCode.FAILED


class RunCommand(FollowingCommand):
    """A command that starts a run."""

    can_dry_run = True

    def add_arguments(self, parser: CommandParser) -> None:
        """Add ``--wait``, ``--cancel-on-exit`` and the common options."""
        super().add_arguments(parser)
        self.add_waiting(parser)

    def plan(self, options: Options) -> Plan:
        """Return the plan of the run; subclasses implement it.

        :raises InvalidInput: for invalid options.
        """
        raise NotImplementedError

    def run(self, **options: Any) -> CommandResult:
        """Start the run; a dry run only describes it."""
        self.check_waiting(options)
        plan = self.plan(options)
        if not all(text.isdecimal() or text == ALL_CATEGORIES for text in options.get("category", ())):
            self._tell_categories(plan, options)
        if options["dry_run"]:
            return self.describe_preview(lambda: preview_plan(plan))
        return self.start_and_follow(lambda: start(plan, ORDER), options)

    def _tell_categories(self, plan: Plan, options: Options) -> None:
        """Say which categories the given names mean."""
        names = CategoryNames(plan.cat_ids)
        listed = list_text(category_text(cat_id, names) for cat_id in plan.cat_ids)
        if not options["is_json"]:
            self.stderr.write(printable(_("Categories: %(names)s") % {"names": listed}))


class _Hints:
    """Says when a hint is due, because no collection has ended for long; shows each note once."""

    def __init__(self) -> None:
        self._ended_count = -1
        self._since = time.monotonic()
        self._notes: set[str] = set()

    def is_due(self, view: RunView) -> bool:
        """Whether a hint is due: no collection has ended, and no hint was due, for ``_QUIET_SECONDS``."""
        now = time.monotonic()
        if view.ended_count == self._ended_count and not view.is_ended:
            if now - self._since < _QUIET_SECONDS:
                return False
            self._since = now
            return True
        self._ended_count, self._since = view.ended_count, now
        return False

    def note_once(self, display: Any, text: str, key: str = "") -> None:
        """Show the line unless it was shown before; lines with the same ``key`` count as one."""
        if (key or text) not in self._notes:
            self._notes.add(key or text)
            display.note(text)


def _hint(view: RunView) -> tuple[str, str] | None:
    """Return a line that names the likely cause, and the key under which it is shown once."""
    if has_clusters() is False:
        return _("No worker is running: start one with `manage.py qcluster`."), WaitingCode.NO_WORKER
    waiting = view.waiting
    # The text is not part of the key: a position in the queue, for example, changes all the time.
    return None if waiting is None else (waiting.message, f"{waiting.code} {waiting.since}")


def _next_commands(run_id: str) -> str:
    return _(
        "Follow it: manage.py sync_tasks show %(id)s --wait. Cancel it: manage.py sync_tasks cancel %(id)s."
    ) % {"id": run_id}
