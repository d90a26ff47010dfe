"""Runs Python programs of the project to their end."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]  # of the project


def run_python(
    *arguments: str,
    env: Mapping[str, str] | None = None,
    timeout_seconds: float = 60,
    cwd: Path = ROOT,
    standard_input: str = "",
) -> subprocess.CompletedProcess[str]:
    """Run Python, with the environment of the tests unless there is another one."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        input=standard_input,
        timeout=timeout_seconds,
        check=False,
    )
