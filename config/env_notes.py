"""Notes on variables that are set, but may not mean what their author thinks; none contains a value."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from apps.launcher.env_file import Assignment, Content
from config.variables import variables
from config.variables.former import reason_of

_SIMILARITY = 0.75
# The rest of a secret, such as the second line of a wrapped key, may look like an assignment. So of the names
# that nothing here reads, only those are shown that look like one.
_NAME = re.compile(r"[A-Z]{1,20}[0-9]{0,2}(_([A-Z]{1,20}[0-9]{0,2}|[0-9]{1,3})){0,7}")
_SHOWN = re.compile(r"[A-Za-z0-9_.-]{1,60}")


def on_everything(process: Mapping[str, str], file_name: str, content: Content) -> list[str]:
    """Return all notes; unknown names are reported from the file only: a process has many other variables."""
    return [
        *_on_former_names(process, file_name, content),
        *_on_repeated_names(file_name, content),
        *_on_references(file_name, content),
        *on_causes(file_name, content),
        *_on_names_of_traces(file_name, content),
        *_on_unknown_names(file_name, content),
    ]


def on_causes(file_name: str, content: Content) -> list[str]:
    """Return the notes that may explain why a variable is missing or refused."""
    return [*_on_comments(file_name, content), *_on_misspelt_names(file_name, content)]


def _on_misspelt_names(file_name: str, content: Content) -> list[str]:
    return [
        f"{file_name} line {one.line}: "
        f"{one.name if _SHOWN.fullmatch(one.name) else 'the name'} is unknown and not read. Is it {near}?"
        for one in _unknown(content)
        if (near := _near(one.name))
    ]


def _on_former_names(process: Mapping[str, str], file_name: str, content: Content) -> list[str]:
    places = dict.fromkeys(sorted(process), "in the process environment")
    places |= {one.name: f"in {file_name} line {one.line}" for one in content.assignments}
    known = _known()
    return [
        f"{name} ({place}) {reason}."
        for name, place in places.items()
        if name not in known and (reason := reason_of(name))
    ]


def _on_repeated_names(file_name: str, content: Content) -> list[str]:
    lines: dict[str, list[int]] = defaultdict(list)
    for one in content.assignments:
        lines[one.name].append(one.line)
    known = _known()
    return [
        f"{file_name} sets {name} several times, in lines {_listed(map(str, numbers))}; the last one counts."
        for name, numbers in lines.items()
        if len(numbers) > 1 and name in known
    ]


def _on_references(file_name: str, content: Content) -> list[str]:
    known = _known()
    return [
        f"{file_name} line {one.line}: ${{...}} in {one.name} is taken as it is; no variable is put in."
        for one in content.assignments
        if "${" in one.value and one.name in known
    ]


def _on_comments(file_name: str, content: Content) -> list[str]:
    known = _known()
    return [
        one.note_on_comment(file_name)
        for one in content.assignments
        if one.is_perhaps_cut and one.name in known
    ]


def _on_unknown_names(file_name: str, content: Content) -> list[str]:
    unknown = [one for one in _unknown(content) if not _near(one.name) and not _is_of_traces(one.name)]
    if not unknown:
        return []
    shown = dict.fromkeys(
        one.name if one.value and _NAME.fullmatch(one.name) else f"line {one.line}" for one in unknown
    )
    return [f"{file_name} sets names that nothing here reads: {_listed(shown)}."]


def _on_names_of_traces(file_name: str, content: Content) -> list[str]:
    names = dict.fromkeys(one.name for one in content.assignments if _is_of_traces(one.name))
    if not names:
        return []
    return [
        f"{file_name} sets {_listed(names)}: "
        "OpenTelemetry reads its variables from the process environment only."
    ]


def _is_of_traces(name: str) -> bool:
    return name.startswith("OTEL_") and _NAME.fullmatch(name) is not None


def _unknown(content: Content) -> list[Assignment]:
    known = _known()
    return [one for one in content.assignments if one.name not in known and reason_of(one.name) is None]


def _known() -> set[str]:
    return {
        name
        for variable_name, (variable, _default) in variables().items()
        for name in (variable_name, *([f"{variable_name}_FILE"] if variable.is_secret else []))
    }


def _near(name: str) -> str | None:
    return next(iter(get_close_matches(name.upper()[:100], sorted(_known()), n=1, cutoff=_SIMILARITY)), None)


def _listed(items: Iterable[str]) -> str:
    *others, last = items
    return f"{', '.join(others)} and {last}" if others else last
