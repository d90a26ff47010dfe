"""Tries the product on every supported Python that this machine has: ``.ci/pythons``.

For each one: the lock files are installed into a .venv of its own, every module is imported, ``manage.py
check`` runs, the core of the tests, and those of the logs of a running product. The Python of the project's
own .venv is left out, because all tests run there. Pythons that are missing are named loudly.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tools.locks import FOLDER, ROOT

LOCKS = ("dev", "embedded")
HOME = ROOT / ".local" / "pythons"
LIMIT_SECONDS = 400
CORE = ["tests/core/api", "tests/core/scheduling", "tests/mengla/ingest"]
STACK = ["tests/integration/crowd/test_logs.py"]  # all kinds of processes, and what they write
_QUICK = "not slow and not browser and not long and not wall_clock"
_tests_run = threading.Lock()  # two runs of the tests at once could take the same ports
_IMPORT_ALL = """
import pkgutil, warnings
import django
django.setup()
import apps
warnings.simplefilter("error")
for module in pkgutil.walk_packages(apps.__path__, "apps."):
    if not module.name.endswith("__main__") and ".migrations" not in module.name:
        __import__(module.name)
"""


def supported() -> list[str]:
    """Return the versions that pyproject.toml names, such as "3.12"."""
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
    found = (re.fullmatch(r"Programming Language :: Python :: (\d+\.\d+)", text) for text in classifiers)
    return [match[1] for match in found if match]


def find(version: str) -> Path | None:
    """Return a Python of this version: on PATH, or one that pyenv or uv has installed."""
    for candidate in _candidates(version):
        program = "import sys; sys.exit('%d.%d' % sys.version_info[:2] != sys.argv[1])"
        try:
            run = subprocess.run([candidate, "-c", program, version], capture_output=True, check=False)
        except OSError:
            continue
        if run.returncode == 0:
            return candidate
    return None


def _candidates(version: str) -> Iterator[Path]:
    for folder in os.get_exec_path():
        yield Path(folder, f"python{version}")
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from sorted(pyenv.glob(f"versions/{version}.*/bin/python"), reverse=True)
    yield from sorted(
        Path.home().glob(f".local/share/uv/python/cpython-{version}.*/bin/python"), reverse=True
    )


def try_out(version: str, python: Path) -> str | None:
    """Return the output of the first step that fails on this Python; None if all succeed."""
    venv = HOME / version
    own = str(venv / "bin" / "python")
    uv = [sys.executable, "-m", "uv"]
    files = [argument for name in LOCKS for argument in ("-r", f"{FOLDER}/{name}.txt")]
    nowhere = {"MONGO_URI": "mongodb://127.0.0.1:1", "REDIS_URI": "redis://127.0.0.1:1/0", "ENV_FILE": ""}
    tests = [
        *(own, "-m", "apps.launcher.embedded", "exec", "--", own, "-m", "pytest"),
        *("-n", "0", "-q"),
    ]
    preparations: list[tuple[list[str], dict[str, str]]] = [
        ([*uv, "venv", "--quiet", "--clear", "--no-config", "--python", str(python), str(venv)], {}),
        ([*uv, "pip", "install", "--quiet", "--no-config", "--python", own, "--require-hashes", *files], {}),
        ([own, "-c", _IMPORT_ALL], nowhere | {"DJANGO_SETTINGS_MODULE": "config.settings"}),
        ([own, "manage.py", "check"], nowhere),
    ]
    problem = _first_problem(preparations)
    if problem is not None:
        return problem
    with _tests_run:
        return _first_problem([([*tests, "-m", _QUICK, *CORE], {}), ([*tests, *STACK], {})])


def _first_problem(steps: list[tuple[list[str], dict[str, str]]]) -> str | None:
    """Run commands, each with more variables; returns the output of the first one that fails."""
    for command, environment in steps:
        try:
            result = subprocess.run(
                command,
                cwd=ROOT,
                env={**os.environ, **environment},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=LIMIT_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            return f"{' '.join(error.cmd)[:200]} took more than {LIMIT_SECONDS} s"
        if result.returncode != 0:
            return result.stdout
    return None


def missing_text(versions: list[str]) -> str:
    """Return what stands out of a log when Pythons are missing."""
    names = ", ".join(f"Python {version}" for version in versions)
    frame = "!" * 100
    text = f"NOT TRIED on {names}: not on this machine. Install it, and run .ci/pythons again."
    return f"{frame}\n!! {text}\n{frame}"


def main() -> None:
    """Try all Pythons that are here, two at once until the tests; exit with 1 if one fails."""
    argparse.ArgumentParser(
        prog=".ci/pythons", description="Tries the product on the other supported Pythons of this machine."
    ).parse_args()
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    found = {version: find(version) for version in supported() if version != own}
    HOME.mkdir(parents=True, exist_ok=True)
    here = {version: python for version, python in found.items() if python}
    with ThreadPoolExecutor(2) as pool:
        problems = dict(zip(here, pool.map(lambda each: try_out(*each), here.items()), strict=True))
    sys.stdout.write(f"Python {own}: all tests run on it.\n")
    for version, problem in problems.items():
        sys.stdout.write(f"Python {version}: {'ok' if problem is None else problem}\n")
    if missing := [version for version, python in found.items() if python is None]:
        sys.stdout.write(missing_text(missing) + "\n")
    if any(problem is not None for problem in problems.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
