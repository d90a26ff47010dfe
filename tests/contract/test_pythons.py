"""The supported Pythons are the same everywhere, and ``.ci/pythons`` finds them or says so."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

import pytest

from tests.programs import ROOT
from tools.pythons import find, missing_text, supported


def test_every_file_names_the_same_pythons() -> None:
    versions = supported()
    assert versions == ["3.11", "3.12", "3.13"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == f">={versions[0]}"
    tried = re.findall(r"python(3\.\d+) ", (ROOT / "bin/_run").read_text())
    assert list(dict.fromkeys(tried)) == versions
    assert f"Python {versions[0]} to {versions[-1]}" in (ROOT / "docs/testing.md").read_text()


def test_a_python_is_found_by_its_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find(own) is None
    shim = tmp_path / f"python{own}"  # as pyenv has it for versions that are not chosen
    shim.write_text("#!/bin/sh\nexit 127\n")
    shim.chmod(0o755)
    installed = tmp_path / "pyenv" / "versions" / f"{own}.9" / "bin" / "python"
    installed.parent.mkdir(parents=True)
    installed.symlink_to(sys.executable)
    assert find(own) == installed


def test_missing_pythons_are_told_loudly() -> None:
    lines = missing_text(["3.12", "3.13"]).splitlines()
    assert len(lines) == 3
    assert all(line.startswith("!!") for line in lines)
    assert "NOT TRIED on Python 3.12, Python 3.13" in lines[1]
