"""Reads the files in ``deploy/`` as the programs do that they are for."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from config.variables import variables
from tests.programs import ROOT, run_python

DEPLOY = ROOT / "deploy"
DOCKERFILE = DEPLOY / "Dockerfile"
UNITS = DEPLOY / "systemd"
MANIFESTS = DEPLOY / "kubernetes"
Document = dict[str, Any]

# What the product and Python read besides the variables of docs/configuration.md.
OTHER_VARIABLES = frozenset({"ENV_FILE", "TMPDIR", "PATH", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"})
# For each variable that an operator fills in.
FILLED = {
    "HOST_NAME": "mengla.example.com",
    "SECRET_KEY": "f0e1d2c3b4a5968778695a4b3c2d1e0ff0e1d2c3b4a5968778695a4b3c2d1e0f",
    "WEBHOOK_SECRET": "0a1b2c3d4e5f60718293a4b5c6d7e8f9",
    "ADMIN_PASSWORD": "a-long-password-of-an-admin",
    "MONGO_ROOT_PASSWORD": "a1",
    "MONGO_PASSWORD": "b2",
    "VALKEY_PASSWORD": "c3",
}
_VARIABLE = re.compile(r"\$\$|\$\{(\w+)(?::([-?])([^}]*))?\}")


def program(name: str) -> Path | None:
    """Return a program of the packages of development, or None."""
    path = Path(sys.executable).parent / name
    return path if path.exists() else None


def known_variables() -> set[str]:
    """The names that the product reads."""
    names = {name for name, _ in variables().items()}
    files = {f"{name}_FILE" for name, (variable, _) in variables().items() if variable.is_secret}
    return names | files | OTHER_VARIABLES


def required_variables() -> set[str]:
    """The names without which no process starts in production."""
    needed = ((name, one) for name, (one, _) in variables().items())
    return {name for name, one in needed if one.is_required or one.is_required_in_production}


def check_in_production(environment: Mapping[str, str], *, cwd: Path = ROOT) -> str:
    """Run the checks of Django and of the product with this environment alone; return what they say."""
    basics = {name: os.environ[name] for name in ("HOME", "LANG") if name in os.environ}
    result: subprocess.CompletedProcess[str] = run_python(
        *("manage.py", "check", "--deploy", "--fail-level", "WARNING"),
        env={"PATH": os.environ["PATH"], **basics, **environment},
        cwd=cwd,
    )
    return f"{result.stdout}{result.stderr}" if result.returncode else ""


# --- Dockerfile -----------------------------------------------------------------------------------


def instructions() -> list[tuple[str, str]]:
    """The instructions of the Dockerfile with their arguments, each on one line."""
    text = re.sub(r"(?m)^#.*\n", "", DOCKERFILE.read_text())
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in lines if line.strip())]


def stage(name: str) -> list[tuple[str, str]]:
    """The instructions of one stage."""
    all_instructions = instructions()
    begins = [number for number, (word, _) in enumerate(all_instructions) if word == "FROM"]
    for begin, end in zip(begins, [*begins[1:], len(all_instructions)], strict=True):
        if all_instructions[begin][1].endswith(f" AS {name}"):
            return all_instructions[begin:end]
    raise LookupError(name)


def image_environment() -> dict[str, str]:
    """The variables that the image sets."""
    pairs = [pair for word, rest in stage("product") if word == "ENV" for pair in shlex.split(rest)]
    return dict(pair.split("=", 1) for pair in pairs)


def copied() -> Iterator[tuple[str, str]]:
    """What the image gets from the repository, and where it puts it."""
    for word, rest in stage("product"):
        if word == "COPY" and not rest.startswith("--from"):
            *sources, target = rest.split()
            yield from ((source, target) for source in sources)


# --- compose.yaml ---------------------------------------------------------------------------------


def compose() -> Document:
    """The file for Compose, with its variables as they are written."""
    loaded: Document = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return loaded


def services() -> dict[str, Document]:
    """The services of Compose by name."""
    found: dict[str, Document] = compose()["services"]
    return found


def interpolate(text: str, values: Mapping[str, str]) -> str:
    """Replace variables as Compose does.

    :raises LookupError: when a required one is missing.
    """

    def value(match: re.Match[str]) -> str:
        name, sign, rest = match.groups()
        if name is None:
            return "$"
        if values.get(name) or sign == "-":
            return values.get(name) or str(rest)
        raise LookupError(f"{name}: {rest}")

    return _VARIABLE.sub(value, text)


def used_by_compose() -> dict[str, tuple[str, str]]:
    """Each variable of compose.yaml with the sign behind it and what follows the sign."""
    text = (DEPLOY / "compose.yaml").read_text()
    return {match[1]: (match[2] or "", match[3] or "") for match in _VARIABLE.finditer(text) if match[1]}


def service_environment(name: str) -> dict[str, str]:
    """The variables in a container of a service, when the example is filled in."""
    given = {key: interpolate(str(value), FILLED) for key, value in services()[name]["environment"].items()}
    return image_environment() | given


# --- systemd and Kubernetes -----------------------------------------------------------------------


def unit_lines(name: str, key: str) -> list[str]:
    """The values of a key of a unit."""
    return re.findall(rf"(?m)^{key}=(.*)$", (UNITS / name).read_text())


def manifests() -> dict[tuple[str, str], Document]:
    """All manifests of Kubernetes by kind and name; the secret is the example."""
    found = {}
    for path in sorted(MANIFESTS.glob("*.yaml")):
        if path.name not in ("kustomization.yaml", "secret.yaml"):
            for document in yaml.safe_load_all(path.read_text()):
                found[document["kind"], document["metadata"]["name"]] = document
    return found


def pods() -> dict[str, Document]:
    """The templates of pods by the name of their deployment or job."""
    kinds = ("Deployment", "Job")
    return {name: one["spec"]["template"] for (kind, name), one in manifests().items() if kind in kinds}
