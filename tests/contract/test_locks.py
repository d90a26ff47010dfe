"""The lock files fit the requirements files; each direct package has an exact version and a purpose."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.programs import ROOT
from tools.locks import Lock, all_locks, normalized, requirement_lines

LOCKS = all_locks()
DIRECT = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*)(?:\[\w+\])?==(?P<version>[\w.]+)(?:; (?P<marker>.+))?")


def test_every_set_of_packages_has_a_lock() -> None:
    assert {lock.path.stem for lock in LOCKS} >= {"product", "embedded", "dev", "parquet"}
    assert {path.name for path in (ROOT / "locked").iterdir()} == {lock.path.name for lock in LOCKS}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.path.name)
class TestLock:
    def test_it_is_made_from_its_requirements_as_they_are(self, lock: Lock) -> None:
        assert lock.noted_digest() == lock.digest(), f"{lock.source.name} changed: run bin/lock"

    def test_it_has_the_versions_of_the_requirements(self, lock: Lock) -> None:
        locked = lock.packages()
        for line in requirement_lines(lock.source):
            found = DIRECT.fullmatch(line)
            assert found, f"{line} has no exact version"
            assert locked[normalized(found["name"])] == {found["version"]}

    def test_each_package_has_one_version_and_hashes(self, lock: Lock) -> None:
        assert [name for name, versions in lock.packages().items() if len(versions) != 1] == []
        entries = re.split(r"^(?=[a-z0-9])", lock.path.read_text(), flags=re.MULTILINE)[1:]
        assert len(entries) == len(lock.packages())
        assert [entry for entry in entries if "--hash=sha256:" not in entry] == []

    def test_it_names_no_server(self, lock: Lock) -> None:
        assert re.search(r"https?:|^--?\w*(?:index|find)", lock.path.read_text(), flags=re.MULTILINE) is None

    def test_each_direct_package_says_what_it_is_for(self, lock: Lock) -> None:
        lines = re.findall(r"^[A-Za-z].*", lock.source.read_text(), flags=re.MULTILINE)
        assert lines
        assert [line for line in lines if not re.search(r"\S\s+# \S.{6}", line)] == []


def test_a_package_has_the_same_version_in_all_locks() -> None:
    versions: dict[str, set[str]] = {}
    for lock in LOCKS:
        for name, found in lock.packages().items():
            versions.setdefault(name, set()).update(found)
    assert {name: found for name, found in versions.items() if len(found) != 1} == {}


def test_the_product_installs_no_packages_of_development() -> None:
    product, dev = LOCKS[0], next(lock for lock in LOCKS if lock.path.stem == "dev")
    assert set(product.packages()) < set(dev.packages())
    assert not {"pytest", "mypy", "ruff", "playwright", "hypothesis", "uv"} & set(product.packages())


def test_a_changed_requirement_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir()
    source = tmp_path / "requirements.txt"
    source.write_text("one==1.0  # the first\n")
    (lock,) = all_locks(tmp_path)
    assert lock.noted_digest() is None
    lock.path.write_text(f"# sources: sha256:{lock.digest()}\none==1.0 \\\n    --hash=sha256:00\n")
    source.write_text("# other words\n\none==1.0  # the only one\n")
    assert lock.noted_digest() == lock.digest()
    source.write_text("one==1.1  # the first\n")
    assert lock.noted_digest() != lock.digest()
