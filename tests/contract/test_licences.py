"""docs/licences.md names the licence of every package, and those that the product runs with allow any use."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, metadata

import pytest

from tests.programs import ROOT
from tools.licences import CONTENTS, PAGE, licence_of, node_licences
from tools.locks import all_locks

ROWS = dict(re.findall(r"^\| ([\w.@/-]+) \| ([^|]+) \|", PAGE.read_text(), flags=re.MULTILINE))
PACKAGES = sorted({name for lock in all_locks() for name in lock.packages()})
# Of these, a program that uses the package may have any licence.
PERMISSIVE = {
    *("0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC", "MIT", "MIT-0", "MPL-2.0"),
    *("PSF-2.0", "Python-2.0", "Zlib"),
}


def test_the_page_names_every_package_and_no_other() -> None:
    named = set(ROWS) - {"package"}
    assert named == {*PACKAGES, *node_licences()}, "run bin/licences"
    assert set(CONTENTS) <= set(PACKAGES)


def test_the_page_says_what_the_packages_say() -> None:
    installed = [name for name in PACKAGES if is_installed(name)]
    assert len(installed) > 100
    assert {name: ROWS[name] for name in installed} == {name: licence_of(name) for name in installed}
    assert {name: ROWS[name] for name in node_licences()} == node_licences()


def test_the_licences_of_what_the_product_runs_with_allow_any_use() -> None:
    names = {name for lock in all_locks() if lock.path.stem != "dev" for name in lock.packages()}
    found = {name: set(re.split(r" AND | OR |[()]", ROWS[name])) - {""} for name in names}
    assert {name: terms for name, terms in found.items() if not terms <= PERMISSIVE} == {}


def test_a_package_without_a_known_licence_is_refused() -> None:
    with pytest.raises(LookupError, match="no-such-package"):
        licence_of("no-such-package")


def test_the_product_has_a_licence_of_its_own() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert text.startswith("MIT License\n\nCopyright (c) 20")
    assert "MengLa Collector maintainers" in text
    assert 'license = "MIT"' in (ROOT / "pyproject.toml").read_text()


def is_installed(name: str) -> bool:
    try:
        metadata(name)
    except PackageNotFoundError:
        return False
    return True
