"""Runs commands as the command line does, and a worker beside them that ends collections as the test says."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Any

from django.core.management import get_commands, load_command_class
from django.core.management.base import BaseCommand

from apps.core.storage.mongo import collection_of
from apps.mengla.choices import CollectionError
from apps.mengla.models import Collection
from apps.mengla.runs import planning
from apps.sync_tasks import selectors as run_selectors
from apps.sync_tasks.models import SyncTask
from tests.mengla.runs.support import end_next

Document = dict[str, Any]
END_TIMEOUT_SECONDS = 30


class Terminal(io.StringIO):
    """What a command takes for a terminal."""

    def isatty(self) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def result(self) -> Document:
        """The result of a command that was asked for JSON: one line, and nothing else."""
        assert self.out.count("\n") == 1, self
        result: Document = json.loads(self.out)
        return result


def run(name: str, *arguments: str, stderr: io.StringIO | None = None) -> Ended:
    """Run ``manage.py NAME ARGUMENTS`` in this process: argparse, exit code and streams are the real ones."""
    out, err = io.StringIO(), stderr or io.StringIO()
    code = 0
    with redirect_stdout(out), redirect_stderr(err):
        app = get_commands()[name]
        command = app if isinstance(app, BaseCommand) else load_command_class(app, name)
        try:
            command.run_from_argv(["manage.py", name, *arguments])
        except SystemExit as ended:
            code = int(ended.code or 0)
    return Ended(code, out.getvalue(), err.getvalue())


def stored_runs() -> list[Document]:
    """Every run there is, oldest first."""
    return list(collection_of(SyncTask).find().sort("_id"))


def the_run() -> Document:
    """The only run there is."""
    (only,) = stored_runs()
    return only


def assert_nothing_started() -> None:
    """Neither a run nor a collection was made."""
    assert stored_runs() == []
    assert collection_of(Collection).find_one() is None


@contextmanager
def working(*, failing: int = 0, is_stopped_at: int | None = None) -> Iterator[None]:
    """Have a worker beside the block: it plans runs and ends their collections, the first ones as failures.

    After ``is_stopped_at`` collections it stops working.
    """
    is_over = threading.Event()

    def work() -> None:
        ended = 0
        while not is_over.is_set():
            for run_document in run_selectors.list_unplanned(10):
                planning.plan_run(str(run_document["_id"]))
            while ended != is_stopped_at and end_next(
                error=CollectionError.EXECUTION_FAILED if ended < failing else None
            ):
                ended += 1
            is_over.wait(0.02)

    worker = threading.Thread(target=work, name="tests-worker")
    worker.start()
    try:
        yield
    finally:
        is_over.set()
        worker.join(END_TIMEOUT_SECONDS)
        assert not worker.is_alive()
