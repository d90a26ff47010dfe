"""Runs the code of the page as an analyst does: one piece after the other, in one folder."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from tests.analysts.pages import Block

TIMEOUT_SECONDS = 120


@dataclass
class Notebook:
    """What the pieces have left: the names of the Python ones, and what each has printed or returned."""

    directory: Path
    names: dict[str, Any] = field(default_factory=dict)
    printed: list[str] = field(default_factory=list)  # by the shell and Python
    tables: list[list[dict[str, Any]]] = field(default_factory=list)  # of SQL

    def run(self, block: Block) -> None:
        """Run one piece of code; it has to succeed."""
        match block.language:
            case "sh":
                self.printed.append(self._run_shell(block.code))
            case "python":
                self.printed.append(self.run_python(block.code))
            case "sql":
                self.tables.append(self.run_sql(block.code))

    def run_python(self, code: str) -> str:
        """Run Python with the names of the pieces before; returns what it has printed."""
        output = io.StringIO()
        with contextlib.chdir(self.directory), contextlib.redirect_stdout(output):
            exec(compile(code, "docs/analysts.md", "exec"), self.names)
        return output.getvalue()

    def run_sql(self, code: str) -> list[dict[str, Any]]:
        """Run a query in a database of its own, without a network; returns its rows."""
        with contextlib.chdir(self.directory), duckdb.connect() as database:
            database.execute("SET autoinstall_known_extensions = false")
            result = database.execute(code)
            titles = [column[0] for column in result.description or []]
            return [dict(zip(titles, row, strict=True)) for row in result.fetchall()]

    def _run_shell(self, code: str) -> str:
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", code],
            cwd=self.directory,
            env=os.environ,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout
