"""What stands in the two pages for analysts: their code, by language, and the rows of their tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.code_blocks import code_blocks
from tests.programs import ROOT

ENGLISH, CHINESE = ROOT / "docs/analysts.md", ROOT / "docs/analysts.zh-CN.md"


@dataclass(frozen=True, slots=True)
class Block:
    """One piece of code; ``language`` is empty for what a reader types into a terminal."""

    language: str
    code: str


@cache
def blocks_of(page: Path) -> list[Block]:
    """Return the code of a page, in its order."""
    return [Block(*one) for one in code_blocks(page.read_text("utf-8"))]


def code_of(language: str, *, starts: str = "") -> list[str]:
    """Return the code of the English page in one language; the Chinese page has the same."""
    return [
        one.code for one in blocks_of(ENGLISH) if one.language == language and one.code.startswith(starts)
    ]


def table_rows(page: Path, *, columns: int) -> Iterator[list[str]]:
    """Yield the cells of every row of the tables that have this many columns."""
    for line in page.read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
        if len(cells) == columns:
            yield cells
