"""The variables that quickstart sees, and the secrets that it generates into the ``.env`` file."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path

from apps.launcher.env_file import Content, fill_in, read_env_file
from apps.launcher.quickstart import QuickstartError

HEADER = "# Made by bin/quickstart for this machine only; docs/configuration.md describes every variable.\n"
# Random bytes of each secret; the password is short because people type it.
GENERATED = {"SECRET_KEY": 48, "WEBHOOK_SECRET": 32, "ADMIN_PASSWORD": 12}


class EnvFile:
    """The process environment and a ``.env`` file, which the settings read in this order."""

    def __init__(self, path: Path, process_environment: Mapping[str, str]) -> None:
        self.path = path
        self._process_environment = process_environment

    def value(self, name: str) -> str:
        """Return the value of a variable, or an empty string when it is not set.

        :raises QuickstartError: when the file cannot be read; the message contains no line of it.
        """
        return self._values().get(name, "").strip()

    def is_set(self, name: str) -> bool:
        """Tell whether the variable is set, directly or by a file that ``NAME_FILE`` names.

        :raises QuickstartError: when the file cannot be read; the message contains no line of it.
        """
        return self._is_set_in(self._process_environment, name) or (
            name not in self._process_environment and self._is_set_in(self._content().values, name)
        )

    def add_missing_secrets(self) -> list[str]:
        """Generate the secrets that are not set, write them to the file, and return their names.

        :raises QuickstartError: when the file cannot be read, or when a new value would have no effect or
            replace what may be one; the message contains no line of it.
        """
        missing = [name for name in GENERATED if not self.is_set(name)]
        problems = [
            f"{name} is set but empty in the process environment, so {self.path.name} cannot set it: unset "
            "it there."
            for name in missing
            if name in self._process_environment
        ]
        problems += [
            one.note_on_comment(self.path.name)
            for one in self._content().assignments
            if one.name in missing and not one.value and one.is_perhaps_cut
        ]
        if problems:
            raise _refusal("The environment cannot be used", problems)
        if missing:
            new = {name: secrets.token_urlsafe(GENERATED[name]) for name in missing}
            fill_in(self.path, new, header=HEADER)
        return missing

    def _values(self) -> Mapping[str, str]:
        return {**self._content().values, **self._process_environment}

    def _content(self) -> Content:
        content = read_env_file(self.path) if self.path.exists() else Content()
        if content.problems:
            raise _refusal("The environment file cannot be used", content.problems)
        return content

    @staticmethod
    def _is_set_in(values: Mapping[str, str], name: str) -> bool:
        return any(values.get(one, "").strip() for one in (name, f"{name}_FILE"))


def _refusal(title: str, problems: Iterable[str]) -> QuickstartError:
    lines = "\n".join(f"  - {problem}" for problem in problems)
    return QuickstartError(f"{title}:\n{lines}", exit_status=2)
