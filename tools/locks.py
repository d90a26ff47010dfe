"""The lock files: what exactly is installed, with a hash of each file, made from the requirements files.

``requirements.txt`` and each ``requirements-NAME.txt`` name the direct packages, each with its version and
purpose. ``bin/lock`` resolves all of them together, for every supported Python and platform, and writes one
file to ``locked/`` for each. So a package has the same version in all of them, and several of them can be
installed together.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = "locked"
OLDEST_PYTHON = "3.11"
_COMMENT = re.compile(r"\s+#|^#")
_REFERENCE = re.compile(r"-r\s*(\S+)")
_LOCKED = re.compile(r"([A-Za-z0-9][\w.-]*)==([^\s;\\]+)(?: ; ([^\\]+?))?(?: \\)?")
_DIGEST = re.compile(r"# sources: sha256:([0-9a-f]{64})")


@dataclass(frozen=True)
class Lock:
    """A requirements file and the lock file that is made from it."""

    source: Path
    path: Path

    def digest(self) -> str:
        """Return the SHA-256 of the source's requirements, whatever their comments and order."""
        return hashlib.sha256("\n".join(sorted(set(requirement_lines(self.source)))).encode()).hexdigest()

    def noted_digest(self) -> str | None:
        """Return the digest of the requirements that this lock was made from, if it names one."""
        found = _DIGEST.search(self.path.read_text()) if self.path.exists() else None
        return found[1] if found else None

    def packages(self) -> dict[str, set[str]]:
        """Return the versions of each locked package, by the normalized name."""
        found: dict[str, set[str]] = {}
        for line in self.path.read_text().splitlines():
            if match := _LOCKED.match(line):
                found.setdefault(normalized(match[1]), set()).add(match[2])
        return found


def all_locks(root: Path = ROOT) -> list[Lock]:
    """Return every lock, that of the product first."""
    product = Lock(root / "requirements.txt", root / FOLDER / "product.txt")
    return [product, *(_lock_of(source) for source in sorted(root.glob("requirements-*.txt")))]


def _lock_of(source: Path) -> Lock:
    return Lock(source, source.parent / FOLDER / source.name.removeprefix("requirements-"))


def requirement_lines(path: Path) -> list[str]:
    """Return the requirements of a file and of those that it refers to, without comments."""
    found = []
    for text in path.read_text().splitlines():
        line = _COMMENT.split(text)[0].strip()
        if reference := _REFERENCE.fullmatch(line):
            found += requirement_lines(path.parent / reference[1])
        elif line:
            found.append(line)
    return found


def normalized(name: str) -> str:
    """Return the one spelling of a package's name."""
    return re.sub(r"[-_.]+", "-", name).lower()


def make_locks(root: Path = ROOT, *, upgrade: bool, packages: list[str]) -> None:
    """Write all lock files; versions that are locked already stay unless they are to be upgraded.

    :raises subprocess.CalledProcessError: when the packages cannot be resolved; uv has printed why.
    """
    locks = all_locks(root)
    with tempfile.TemporaryDirectory() as folder:
        together = Path(folder, "together.txt")
        together.write_text(_known_versions(locks))
        options = ["--upgrade"] if upgrade else [f"--upgrade-package={name}" for name in packages]
        _compile(root, together, [lock.source for lock in locks], options)
        versions = together.read_text()
        texts = {}
        for lock in locks:
            draft = Path(folder, lock.path.name)
            draft.write_text(versions)  # uv prefers the versions that it finds in the file that it writes
            _compile(root, draft, [lock.source], ["--generate-hashes"])
            texts[lock.path] = _head(lock) + draft.read_text()
    (root / FOLDER).mkdir(exist_ok=True)
    for path, text in texts.items():
        path.write_text(text)


def _known_versions(locks: list[Lock]) -> str:
    texts = (lock.path.read_text() for lock in locks if lock.path.exists())
    lines = (line.removesuffix(" \\") for text in texts for line in text.splitlines() if _LOCKED.match(line))
    return "".join(f"{line}\n" for line in dict.fromkeys(lines))


def _head(lock: Lock) -> str:
    return (
        f"# Made by bin/lock from {lock.source.name}; do not edit. Install with pip's --require-hashes.\n"
        f"# sources: sha256:{lock.digest()}\n"
    )


def _compile(root: Path, output: Path, sources: list[Path], options: list[str]) -> None:
    command = [
        *(sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--no-config", "--no-header"),
        *("--universal", "--python-version", OLDEST_PYTHON, "--fork-strategy", "fewest"),
        *("--output-file", str(output), *options),
    ]
    names = [source.relative_to(root).as_posix() for source in sources]
    subprocess.run([*command, *names], cwd=root, stdout=subprocess.DEVNULL, check=True)


def main() -> None:
    """Write the lock files."""
    parser = argparse.ArgumentParser(
        prog="bin/lock", description="Writes locked/ from the requirements files, whose versions are exact."
    )
    parser.add_argument("--upgrade", action="store_true", help="also upgrade the packages that others need")
    parser.add_argument(
        "--upgrade-package", action="append", default=[], metavar="NAME", help="upgrade only this one of them"
    )
    arguments = parser.parse_args()
    try:
        make_locks(upgrade=arguments.upgrade, packages=arguments.upgrade_package)
    except subprocess.CalledProcessError:
        sys.exit("No lock file was written: see the message of uv above.")
    for lock in all_locks():
        sys.stdout.write(f"{lock.path.relative_to(ROOT)}: {len(lock.packages())} packages\n")


if __name__ == "__main__":
    main()
