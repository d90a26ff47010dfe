"""The code of docs/clients.md, run as its reader would: files are saved, and commands are run in a folder."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.clients.node import NodePackagesError, node_environment, node_packages, python_environment
from tests.code_blocks import code_blocks
from tests.missing import leave_out
from tests.programs import ROOT

PAGE = ROOT / "docs/clients.md"
_SECTION = re.compile(r"^## (.+)$", re.MULTILINE)
_FILE_NAME = re.compile(r"(?:#|//) (\S+\.\w+)\n")
# What is there already; the versions are compared with those that the tests use.
_INSTALL = re.compile(r"^(?:pip|npm) install .*\n", re.MULTILINE)
_VERSION = re.compile(r"([@\w][\w/-]*)(?:==|@)(\d[\d.]*)")
_TYPESCRIPT = re.compile(r"npx tsc\b")
_NODE = re.compile(r"\b(?:node|npx)\b")
_TIMEOUT_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Block:
    """A code block of a section of the page; files have their name in the first line."""

    section: str
    language: str
    code: str

    @property
    def file_name(self) -> str | None:
        found = _FILE_NAME.match(self.code)
        return found and found[1]

    @property
    def commands(self) -> list[str]:
        """The commands of a shell block, without those that install packages."""
        return _INSTALL.sub("", self.code).replace("\\\n", " ").splitlines()


def blocks(section: str = "") -> list[Block]:
    """Return the code blocks of a section, or of all, in their order."""
    _, *parts = _SECTION.split(PAGE.read_text("utf-8"))
    found = zip(parts[::2], parts[1::2], strict=True)
    return [
        Block(title, *fence) for title, text in found for fence in code_blocks(text) if section in ("", title)
    ]


def named_versions() -> dict[str, str]:
    """Return the versions of the packages that the page lets its reader install."""
    lines = [line for block in blocks() for line in _INSTALL.findall(block.code)]
    return dict(_VERSION.findall(" ".join(lines)))


@dataclass(frozen=True)
class Workplace:
    """The folder of somebody who follows the page."""

    folder: Path
    variables: Mapping[str, str]

    def save_files(self) -> None:
        """Save the files of the page."""
        for block in blocks():
            if block.file_name:
                (self.folder / block.file_name).write_text(block.code, "utf-8")

    def follow(self, section: str, *, also_checked: str = "") -> dict[str, subprocess.CompletedProcess[str]]:
        """Run the commands of a section one after the other; returns what each has said.

        :param also_checked: a file that TypeScript checks together with that of the page: it starts slowly.
        """
        shell = (block for block in blocks(section) if block.language == "sh")
        commands = (command for block in shell for command in block.commands)
        return {
            command: self.run(f"{command} {also_checked}" if _TYPESCRIPT.match(command) else command)
            for command in commands
        }

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a command with the programs and the packages of the tests."""
        needs_node = _NODE.search(command) is not None
        return subprocess.run(
            ["sh", "-c", command],
            cwd=self.folder,
            env=(self._node() if needs_node else python_environment()) | dict(self.variables),
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )

    def _node(self) -> dict[str, str]:
        """Put the npm packages into the folder; returns the environment in which node and npx are found."""
        try:
            packages = node_packages()
        except NodePackagesError as error:
            leave_out(str(error))
        modules = self.folder / "node_modules"
        if not modules.exists():
            modules.symlink_to(packages / "node_modules")
        return node_environment(packages)
