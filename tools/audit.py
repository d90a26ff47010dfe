"""Compares the locked packages with the published advisories, by pip-audit: ``.ci/audit``.

A vulnerability fails. Where no service of advisories can be reached, the audit says so in a way that is hard
to overlook, and succeeds: a machine without a network must be able to run all gates. ``--strict`` fails.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tools.locks import ROOT, all_locks

TIMEOUT_SECONDS = 10  # of one request
LIMIT_SECONDS = 45  # of one service
# The identifiers of advisories that do not concern the product, each with the reason.
ACCEPTED: dict[str, str] = {}


@dataclass
class Audit:
    """What a service says about the packages; ``problem`` says why it was not reached."""

    checked: set[str] = field(default_factory=set)
    skipped: set[str] = field(default_factory=set)
    findings: list[str] = field(default_factory=list)
    problem: str | None = None


def audit_by(*service: str) -> Audit:
    """Ask one service about all locked packages; the arguments are those of pip-audit that name it."""
    files = [argument for lock in all_locks() for argument in ("-r", str(lock.path))]
    accepted = [argument for name in ACCEPTED for argument in ("--ignore-vuln", name)]
    command = [
        *(sys.executable, "-m", "pip_audit", "--require-hashes", "--disable-pip", "--format", "json"),
        *("--progress-spinner", "off", "--timeout", str(TIMEOUT_SECONDS), *accepted, *files, *service),
    ]
    try:
        result = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False
        )
        packages = json.loads(result.stdout)["dependencies"]
    except subprocess.TimeoutExpired:
        return Audit(problem=f"no answer within {LIMIT_SECONDS} s")
    except (ValueError, KeyError, TypeError):
        return Audit(problem=(result.stderr.strip() or "no answer").splitlines()[-1][:160])
    return _read(packages)


def _read(packages: Iterable[dict[str, Any]]) -> Audit:
    audit = Audit()
    for package in packages:
        (audit.skipped if "skip_reason" in package else audit.checked).add(package["name"])
        audit.findings += [
            f"{package['name']} {package['version']}: {found['id']}, "
            f"fixed in {', '.join(found['fix_versions']) or 'no version yet'}: {found['description'][:200]}"
            for found in package.get("vulns", [])
        ]
    if not audit.checked:
        audit.problem = f"it knows none of the {len(audit.skipped)} packages"
    return audit


def warning(problems: Iterable[str], *, what: str) -> str:
    """Return the text that stands out of a log."""
    lines = [
        f"NOT AUDITED: {what}",
        *(f"  - {problem}" for problem in problems),
        "Whether the locked packages have known vulnerabilities is UNKNOWN.",
        "Run .ci/audit --strict on a machine that reaches these services before a release.",
    ]
    frame = "!" * 100
    return "\n".join([frame, *(f"!! {line}" for line in lines), frame])


def main() -> None:
    """Audit, print the result, and exit with 1 for a vulnerability."""
    parser = argparse.ArgumentParser(prog=".ci/audit", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--strict", action="store_true", help="also fail when the advisories cannot be reached"
    )
    parser.add_argument("--osv-url", metavar="URL", help="ask only this service, which is like OSV")
    arguments = parser.parse_args()
    services = {"PyPI": ("-s", "pypi"), "OSV": ("-s", "osv")}
    if arguments.osv_url:
        services = {"OSV": ("-s", "osv", "--osv-url", arguments.osv_url)}

    problems = []
    for name, options in services.items():
        audit = audit_by(*options)
        if audit.problem is None:
            break
        problems.append(f"{name}: {audit.problem}")
    if audit.findings:
        sys.exit("\n".join(["Vulnerable packages are locked:", *audit.findings]))
    if audit.problem is not None:
        sys.stdout.write(warning(problems, what="no service of advisories could be reached.") + "\n")
    elif audit.skipped:
        sys.stdout.write(warning(sorted(audit.skipped), what="these packages are not known there.") + "\n")
    else:
        sys.stdout.write(f"{len(audit.checked)} packages, no known vulnerabilities ({name}).\n")
    if arguments.strict and (audit.problem is not None or audit.skipped):
        sys.exit("The audit is incomplete.")


if __name__ == "__main__":
    main()
