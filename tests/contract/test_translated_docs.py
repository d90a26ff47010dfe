"""The Chinese operations handbook has all that the English one has, so that they cannot drift apart.

Compared are the headings, code blocks, tables, list items, links to other pages, and every name in code type:
commands, variables, fields, addresses. The prose itself is for a reader to compare.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.programs import ROOT

ENGLISH, CHINESE = ROOT / "docs/operations.md", ROOT / "docs/operations.zh-CN.md"
# English headings: of sections that the Chinese page does not have yet, and of those that it has in part.
MISSING: frozenset[str] = frozenset()
BEHIND: frozenset[str] = frozenset()

_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"\s+# .*$", re.MULTILINE)
_CODE = re.compile(r"`([^`]+)`")
_LINK = re.compile(r"\]\((?!https?:)([^)#]+\.md)")
_ANCHOR = re.compile(r"\]\(#([^)]+)\)")


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with the text up to the next one; code blocks are separate and without their comments."""

    level: int
    title: str
    blocks: tuple[str, ...]
    prose: str

    @property
    def table_rows(self) -> list[int]:
        """The number of cells of each row of its tables."""
        return [line.count("|") for line in self.prose.splitlines() if line.startswith("|")]

    @property
    def names(self) -> Counter[str]:
        """How often each name stands in code type."""
        return Counter(_CODE.findall(self.prose.replace("\n", " ")))


def sections_of(path: Path) -> list[Section]:
    blocks: list[str] = []

    def take(found: re.Match[str]) -> str:
        blocks.append(_COMMENT.sub("", found[0]))
        return f"\0{len(blocks) - 1}\0"

    text = _FENCE.sub(take, path.read_text("utf-8"))
    found = re.split(r"^(#+) (.+)$", text, flags=re.MULTILINE)[1:]
    sections = []
    for marks, title, prose in zip(found[::3], found[1::3], found[2::3], strict=True):
        numbers = [int(number) for number in re.findall(r"\0(\d+)\0", prose)]
        sections.append(
            Section(
                len(marks), title, tuple(blocks[number] for number in numbers), re.sub(r"\0\d+\0", "", prose)
            )
        )
    return sections


TRANSLATED = [section for section in sections_of(ENGLISH) if section.title not in MISSING]
PAIRS = list(zip(TRANSLATED, sections_of(CHINESE), strict=False))


def slug(title: str) -> str:
    """The anchor that GitHub gives to a heading."""
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def test_both_have_the_same_headings_in_the_same_order() -> None:
    chinese = sections_of(CHINESE)
    titles = [f"{one.title} = {other.title}" for one, other in PAIRS]
    assert [one.level for one in TRANSLATED] == [one.level for one in chinese], titles


@pytest.mark.parametrize(
    ("english", "chinese"),
    [pair for pair in PAIRS if pair[0].title not in BEHIND],
    ids=lambda section: section.title.replace(" ", "-") if section.title.isascii() else "",
)
def test_both_sections_have_the_same_parts(english: Section, chinese: Section) -> None:
    assert chinese.blocks == english.blocks
    assert chinese.table_rows == english.table_rows
    for sign in ("\n- ", "\n1. ", "\n2. ", "**"):
        assert chinese.prose.count(sign) == english.prose.count(sign), sign
    is_head = english.level == 1  # there each page links to the other one
    assert is_head or Counter(_LINK.findall(chinese.prose)) == Counter(_LINK.findall(english.prose))
    assert chinese.names == english.names


@pytest.mark.parametrize("path", [ENGLISH, CHINESE], ids=["english", "chinese"])
def test_every_anchor_leads_to_a_heading(path: Path) -> None:
    anchors = {slug(section.title) for section in sections_of(path)}
    assert set(_ANCHOR.findall(path.read_text("utf-8"))) - anchors == set()


def test_each_page_links_to_the_other() -> None:
    assert f"({CHINESE.name})" in sections_of(ENGLISH)[0].prose
    assert f"({ENGLISH.name})" in sections_of(CHINESE)[0].prose
    assert f"(docs/{CHINESE.name})" in (ROOT / "README.md").read_text("utf-8")
