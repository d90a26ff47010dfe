"""The only reader of the environment.

:func:`load` looks for each variable of :mod:`config.variables` in the process environment, then in the
``.env`` file. In both, a secret is looked up as ``NAME``, then as ``NAME_FILE``, which names a file with the
value. All problems are reported at once. A message never contains a value, because it may be a secret.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from django.core.exceptions import ImproperlyConfigured

from apps.launcher.env_file import Content, read_env_file
from config import env_notes
from config.variables import DEVELOPMENT_KEY, Environment, Variable, variables
from config.variables.access import key_problems
from config.variables.oidc import oidc_problems

BASE_DIR = Path(__file__).resolve().parent.parent
_MAX_SECRET_FILE_BYTES = 64 * 1024
# Control characters, line breaks, and the surrogates that stand for bytes that are not UTF-8.
_NOT_TEXT = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_ESCAPES_HINT = (
    " (in double quotes, a backslash and one of a b f n r t v stand for such a character: write the value in "
    "single quotes, or two backslashes)"
)


class ConfigurationError(ImproperlyConfigured):
    """The environment is invalid; the message lists every problem and contains no value."""


class Loaded(NamedTuple):
    """The environment, and notes on what is set but means something else than it seems, without values."""

    environment: Environment
    notes: list[str]


class _Source(NamedTuple):
    """The variables of one source; ``hints`` say how characters that are no text may have got into them."""

    values: Mapping[str, str]
    hints: Mapping[str, str] = {}


def load(process_environment: Mapping[str, str] | None = None) -> Environment:
    """Read and check the whole environment.

    :raises ConfigurationError: with one message that lists every problem.
    """
    return load_with_notes(process_environment).environment


def load_with_notes(process_environment: Mapping[str, str] | None = None) -> Loaded:
    """Read and check the whole environment; return it with the notes on it.

    :raises ConfigurationError: with one message that lists every problem.
    """
    process = os.environ if process_environment is None else process_environment
    path, content = _read_env_file(process)
    problems = list(content.problems)
    hints = {one.name: _ESCAPES_HINT if one.is_double_quoted else "" for one in content.assignments}
    sources = (_Source(process), _Source(content.values, hints))
    values: dict[str, Any] = {}
    given: dict[str, str] = {}
    for name, (variable, default) in variables().items():
        values[name] = default
        try:
            raw = _raw_value(sources, name, variable)
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
    if values["COMPAT_API"] and _is_admin_at(values["COMPAT_PREFIX"], values["ADMIN_PATH"]):
        problems.append(f"COMPAT_PREFIX must not be a path of the admin; {_example('COMPAT_PREFIX')}")
    problems += _window_problems(values, given)
    problems += key_problems(values, given, refused_key=DEVELOPMENT_KEY)
    problems += oidc_problems(values, given)
    if problems:
        raise ConfigurationError(_problem_message(problems, env_notes.on_causes(path.name, content)))
    return Loaded(Environment(**values), env_notes.on_everything(process, path.name, content))


def is_tracing_wanted(process_environment: Mapping[str, str] | None = None) -> bool:
    """Whether the standard variables of OpenTelemetry ask for traces; its SDK reads the rest of them itself.

    They are not ours, so only the process environment counts, as the SDK knows no other.
    """
    process = os.environ if process_environment is None else process_environment
    endpoints = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    is_disabled = process.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    is_elsewhere = process.get("OTEL_TRACES_EXPORTER", "").strip() not in ("", "otlp")
    return any(process.get(name, "").strip() for name in endpoints) and not (is_disabled or is_elsewhere)


def otlp_protocol(process_environment: Mapping[str, str] | None = None) -> str:
    """Return the protocol that the standard variables ask for; empty if none does."""
    process = os.environ if process_environment is None else process_environment
    names = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
    return next((value for name in names if (value := process.get(name, "").strip())), "")


def _is_admin_at(prefix: str, admin_path: str) -> bool:
    """Whether the addresses below the prefix and those of the admin are the same for some requests."""
    former_path = f"{prefix}/api/".lstrip("/")
    return former_path.startswith(admin_path) or admin_path.startswith(former_path)


def _window_problems(values: Mapping[str, Any], given: Mapping[str, str]) -> list[str]:
    """Return what is wrong with the two ends of the collecting window together."""
    names = ("COLLECT_WINDOW_START", "COLLECT_WINDOW_END")
    for name, other in (names, names[::-1]):
        if name in given and other not in given:
            return [f"{other} is missing: it is required with {name}; {_example(other)}"]
    start, end = (values[name] for name in names)
    if start is not None and start == end:
        return [
            "COLLECT_WINDOW_END must not equal COLLECT_WINDOW_START: the window would be empty; leave out "
            "both to collect at any time"
        ]
    return []


def _example(name: str) -> str:
    return f"for example {name}={variables()[name][0].example}"


def _problem_message(problems: list[str], notes: list[str]) -> str:
    lines = "\n".join([*(f"  - {problem}" for problem in problems), *(f"  Note: {note}" for note in notes)])
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    return f"The environment has {count}:\n{lines}\nEvery variable is described in docs/configuration.md."


def _raw_value(sources: Sequence[_Source], name: str, variable: Variable) -> str | None:
    """Return the text of a variable from the first source that has it; None when it is unset or empty."""
    for source in sources:
        raw = source.values.get(name, "").strip()
        file_name = source.values.get(f"{name}_FILE", "").strip() if variable.is_secret else ""
        hint = source.hints.get(name, "")
        if not raw and file_name:
            raw, hint = _content_of(file_name, f"{name}_FILE"), ""
        if raw:
            return _checked_text(raw, hint)
        if name in source.values or file_name:
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


def _checked_text(raw: str, hint: str) -> str:
    if _NOT_TEXT.search(raw):
        raise ValueError(f"must be one line of UTF-8 text without control characters{hint}")
    return raw


def _read_env_file(process_environment: Mapping[str, str]) -> tuple[Path, Content]:
    """Read the ``.env`` file; ``ENV_FILE`` names another file. When it is set but empty, no file is read."""
    named = process_environment.get("ENV_FILE", str(BASE_DIR / ".env"))
    path = Path(named or os.devnull)
    if "ENV_FILE" not in process_environment and not path.exists():
        return path, Content()
    return path, read_env_file(path)
