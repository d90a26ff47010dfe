"""The ``.env`` file: its variables, and the secrets that are generated into it."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path

import environ

HEADER = "# Made by bin/quickstart for this machine only; docs/configuration.md describes every variable.\n"
# Random bytes of each secret; the password is short because people type it.
GENERATED = {"SECRET_KEY": 48, "WEBHOOK_SECRET": 32, "ADMIN_PASSWORD": 12}


class EnvFile:
    """The process environment and a ``.env`` file, which the settings read in this order."""

    def __init__(self, path: Path, process_environment: Mapping[str, str]) -> None:
        self.path = path
        self._process_environment = process_environment

    def value(self, name: str) -> str:
        """Return the value of a variable, or an empty string when it is not set."""
        return self._values().get(name, "").strip()

    def is_set(self, name: str) -> bool:
        """Tell whether the variable is set, directly or by a file that ``NAME_FILE`` names."""
        return bool(self.value(name) or self.value(f"{name}_FILE"))

    def add_missing_secrets(self) -> list[str]:
        """Generate the secrets that are not set, write them to the file, and return their names."""
        missing = [name for name in GENERATED if not self.is_set(name)]
        if missing:
            self._write({name: secrets.token_urlsafe(GENERATED[name]) for name in missing})
        return missing

    def _values(self) -> Mapping[str, str]:
        class Reader(environ.Env):  # type: ignore[misc]
            ENVIRON = dict(self._process_environment)

        if self.path.is_file():
            Reader.read_env(self.path)
        return Reader.ENVIRON

    def _write(self, values: Mapping[str, str]) -> None:
        path = self.path.resolve()
        exists = path.exists()
        text = path.read_text() if exists else HEADER
        for name, value in values.items():
            line = f"{name}={value}"
            text, filled = re.subn(rf"(?m)^[ \t]*{name}[ \t]*=[ \t]*$", line, text, count=1)
            if not filled:
                text = f"{text.rstrip()}\n{line}\n"
        draft = path.with_name(f"{path.name}.new")
        draft.unlink(missing_ok=True)
        mode = path.stat().st_mode & 0o777 if exists else 0o600
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
        draft.chmod(mode)
        draft.replace(path)
