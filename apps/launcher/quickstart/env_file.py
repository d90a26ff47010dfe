"""The variables that quickstart sees, and the secrets that it generates into the ``.env`` file."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path

from apps.launcher.env_file import fill_in, read_env_file
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
        return bool(self.value(name) or self.value(f"{name}_FILE"))

    def add_missing_secrets(self) -> list[str]:
        """Generate the secrets that are not set, write them to the file, and return their names.

        :raises QuickstartError: when the file cannot be read; the message contains no line of it.
        """
        missing = [name for name in GENERATED if not self.is_set(name)]
        if missing:
            new = {name: secrets.token_urlsafe(GENERATED[name]) for name in missing}
            fill_in(self.path, new, header=HEADER)
        return missing

    def _values(self) -> Mapping[str, str]:
        if not self.path.exists():
            return self._process_environment
        content = read_env_file(self.path)
        if content.problems:
            problems = "\n".join(f"  - {problem}" for problem in content.problems)
            raise QuickstartError(f"The environment file cannot be used:\n{problems}", exit_status=2)
        return {**content.values, **self._process_environment}
