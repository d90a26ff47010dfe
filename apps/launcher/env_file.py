"""The ``.env`` file: its only reader, and the values that are filled in.

It has the forms of python-dotenv, but ``$`` is not special. No message contains a line or a value of it.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dotenv.parser import Binding, parse_stream

_MAX_BYTES = 256 * 1024
# White space and "#" end a value without quotes. If white space, another "#" or nothing follows, the rest is
# surely a comment; in "NAME=value #1" and "NAME= #1" it may belong to the value.
_PERHAPS_CUT = re.compile(r"[^=]*=(?!\s*['\"])(?:(?!\s#).)*\s+#[^\s#]")
# An empty value, perhaps in quotes, and what follows it on its line.
_EMPTY_VALUE = re.compile(r"[^=]*=[^\S\r\n]*(?:''|\"\")?(?P<rest>[^\r\n]*)")
_DOUBLE_QUOTED = re.compile(r"[^=]*=\s*\"")
_BEGINS_WITH_QUOTE = re.compile(r"\s*(?:export\s+)?(?:'|[^=\s'#]+\s*=\s*['\"])")  # its name or its value


@dataclass(frozen=True, slots=True)
class Assignment:
    """One ``NAME=value`` of the file; ``line`` counts from 1."""

    name: str
    value: str
    line: int
    is_perhaps_cut: bool = False  # the comment behind the value looks like a part of it
    is_double_quoted: bool = False

    def note_on_comment(self, file_name: str) -> str:
        """Return what to do about a value that is perhaps cut."""
        return (
            f"{file_name} line {self.line}: the value of {self.name} ends before ' #'. If the rest belongs "
            "to it, write the value in quotes. If it is a comment, write a space after '#'."
        )


@dataclass(frozen=True, slots=True)
class Content:
    """What the file says, in its order, and what is wrong with its lines."""

    assignments: tuple[Assignment, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def values(self) -> dict[str, str]:
        """The value of each name; of a name that is given twice, the last one."""
        return {one.name: one.value for one in self.assignments}


def read_env_file(path: Path) -> Content:
    """Read the file; one that cannot be read has no assignments and one problem."""
    try:
        text = _text_of(path)
    except (OSError, ValueError):
        return Content(problems=(f"{path.name} (the environment file) cannot be read as text",))
    assignments: list[Assignment] = []
    problems: list[str] = []
    for binding in parse_stream(io.StringIO(text.replace("\r\n", "\n"))):
        string, line = binding.original
        line += string[: len(string) - len(string.lstrip())].count("\n")
        if binding.error and _BEGINS_WITH_QUOTE.match(string):
            problems.append(
                f"{path.name} line {line} is not of the form NAME=value: a quote in it is not closed, or is "
                "followed by more text"
            )
        elif binding.error or (binding.key is not None and binding.value is None):
            problems.append(f"{path.name} line {line} is not of the form NAME=value")
        elif binding.key is not None:
            assignments.append(
                Assignment(
                    binding.key,
                    binding.value or "",
                    line,
                    is_perhaps_cut=_PERHAPS_CUT.match(string) is not None,
                    is_double_quoted=_DOUBLE_QUOTED.match(string) is not None,
                )
            )
    return Content(tuple(assignments), tuple(problems))


def fill_in(path: Path, values: Mapping[str, str], *, header: str) -> None:
    """Write values into the file: in place of empty ones, else at its end; all else stays as it is.

    A comment behind an empty value stays, too. A new file begins with the header and is for its owner only.

    :raises OSError: when the file cannot be read or written.
    :raises ValueError: when it is not UTF-8 text.
    """
    path = path.resolve()
    exists = path.exists()
    text = _text_of(path) if exists else header
    newline = "\r\n" if "\r\n" in text else "\n"
    bindings = list(parse_stream(io.StringIO(text, newline="")))
    body = "".join(_filled(binding, values) for binding in bindings)
    named = {binding.key for binding in bindings if not binding.value}
    left = [f"{name}={value}{newline}" for name, value in values.items() if name not in named]
    if left and body and not body.endswith("\n"):
        body += newline
    body += "".join(left)
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    mode = path.stat().st_mode & 0o777 if exists else 0o600
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(body.encode())
    draft.chmod(mode)
    draft.replace(path)


def _filled(binding: Binding, values: Mapping[str, str]) -> str:
    """Return the text of a binding, with one of the values when it has none itself."""
    string = binding.original.string
    if binding.key is None or binding.value or binding.key not in values:
        return string
    before, end = string[: len(string) - len(string.lstrip())], string[len(string.rstrip("\r\n")) :]
    found = _EMPTY_VALUE.match(string)
    comment = found["rest"].rstrip() if found else ""
    gap = "  " if comment.startswith("#") else ""  # without white space it would belong to the value
    return f"{before}{binding.key}={values[binding.key]}{gap}{comment}{end}"


def _text_of(path: Path) -> str:
    """Return the text of the file, without a byte order mark and with its line ends.

    :raises ValueError: when it is too large or not UTF-8.
    """
    with path.open("rb") as stream:
        content = stream.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise ValueError("too large")
    return content.decode("utf-8-sig")
