"""The only reader of the environment.

:func:`load` looks for each variable of :mod:`config.variables` in the process environment, then in the
``.env`` file. In both, a secret is looked up as ``NAME``, then as ``NAME_FILE``, which names a file with the
value. All problems are reported at once. A message never contains a value, because it may be a secret.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import environ
from django.core.exceptions import ImproperlyConfigured

from config.variables import DEVELOPMENT_KEY, Environment, Variable, variables

BASE_DIR = Path(__file__).resolve().parent.parent
_MAX_SECRET_FILE_BYTES = 64 * 1024
# Control characters, line breaks, and the surrogates that stand for bytes that are not UTF-8.
_NOT_TEXT = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_ENV_FILE_LINE = re.compile(r"(export )?[A-Za-z_0-9]+=(\S.*)?")


class ConfigurationError(ImproperlyConfigured):
    """The environment is invalid; the message lists every problem and contains no value."""


def load(process_environment: Mapping[str, str] | None = None) -> Environment:
    """Read and check the whole environment.

    :raises ConfigurationError: with one message that lists every problem.
    """
    process = os.environ if process_environment is None else process_environment
    from_file, problems = _read_env_file(process)
    values: dict[str, Any] = {}
    given: dict[str, str] = {}
    for name, (variable, default) in variables().items():
        values[name] = default
        try:
            raw = _raw_value((process, from_file), name, variable)
            if raw is not None:
                given[name] = raw
                values[name] = variable.parse(raw)
        except ValueError as error:
            given.setdefault(name, "")
            problems.append(f"{name} {error}; {_example(name)}")
    is_production = values["ENV"] == "production"
    for name, (variable, _default) in variables().items():
        is_required = variable.is_required or (variable.is_required_in_production and is_production)
        if is_required and name not in given:
            problems.append(f"{name} is missing; {_example(name)}")
        if is_production and given.get(name) == DEVELOPMENT_KEY:
            problems.append(f"{name} must not be the published development key; {_example(name)}")
    if is_production and values["DEBUG"]:
        problems.append("DEBUG must be off when ENV=production; for example DEBUG=false")
    if values["ENV"] == "production" and values["ALERT_WEBHOOK_URL"] and not values["ALERT_WEBHOOK_SECRET"]:
        problems.append(
            "ALERT_WEBHOOK_SECRET is missing: with ENV=production, notices to ALERT_WEBHOOK_URL must be "
            "signed; for example ALERT_WEBHOOK_SECRET=(32 random characters)"
        )
    if problems:
        raise ConfigurationError(_problem_message(problems))
    return Environment(**values)


def _example(name: str) -> str:
    return f"for example {name}={variables()[name][0].example}"


def _problem_message(problems: list[str]) -> str:
    lines = "\n".join(f"  - {problem}" for problem in problems)
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    return f"The environment has {count}:\n{lines}\nEvery variable is described in docs/configuration.md."


def _raw_value(sources: Iterable[Mapping[str, str]], name: str, variable: Variable) -> str | None:
    """Return the text of a variable from the first source that has it; None when it is unset or empty."""
    for source in sources:
        raw = source.get(name, "").strip()
        file_name = source.get(f"{name}_FILE", "").strip() if variable.is_secret else ""
        if not raw and file_name:
            raw = _content_of(file_name, f"{name}_FILE")
        if raw:
            return _checked_text(raw)
        if name in source or file_name:
            return None
    return None


def _content_of(file_name: str, variable_name: str) -> str:
    try:
        with Path(file_name).open("rb") as stream:
            content = stream.read(_MAX_SECRET_FILE_BYTES + 1)
        if len(content) > _MAX_SECRET_FILE_BYTES:
            raise ValueError(f"has a file in {variable_name} that is too large")
        return content.decode("utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"has a file in {variable_name} that cannot be read as text") from error


def _checked_text(raw: str) -> str:
    if _NOT_TEXT.search(raw):
        raise ValueError("must be one line of UTF-8 text without control characters")
    return raw


def _read_env_file(process_environment: Mapping[str, str]) -> tuple[Mapping[str, str], list[str]]:
    """Read the ``.env`` file; return its values and its problems, which contain no line of the file.

    ``ENV_FILE`` names another file. When it is set but empty, no file is read.
    """
    named = process_environment.get("ENV_FILE", str(BASE_DIR / ".env"))
    path = Path(named or os.devnull)
    if "ENV_FILE" not in process_environment and not path.exists():
        return {}, []
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError):
        return {}, [f"{path.name} (the environment file) cannot be read as text"]
    kept: list[str] = []
    problems: list[str] = []
    for number, line in enumerate(map(str.strip, lines), start=1):
        if _ENV_FILE_LINE.fullmatch(line):
            kept.append(line)
        elif line and not line.startswith("#"):
            problems.append(f"{path.name} line {number} is not of the form NAME=value")

    class Reader(environ.Env):  # type: ignore[misc]
        ENVIRON: ClassVar[dict[str, str]] = {}

    Reader.read_env(io.StringIO("\n".join(kept)))
    return Reader.ENVIRON, problems
