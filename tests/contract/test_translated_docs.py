"""Each page that has a Chinese one beside it has all of its parts there, so that they cannot drift apart.

Compared are the headings, code blocks, pictures, tables, list items, links to other pages, and every name in
code type: commands, variables, fields, addresses. The prose itself is for a reader to compare.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.programs import ROOT

FOLDERS = (ROOT / "docs", ROOT / "deploy")
CHINESE = sorted([*ROOT.glob("*.zh-CN.md"), *(one for top in FOLDERS for one in top.rglob("*.zh-CN.md"))])
NAMES = [path.name.removesuffix(".zh-CN.md") for path in CHINESE]
TRANSLATED = {"README", "operations", "analysts", "upgrading", "security", "logs"}

_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"\s+# .*$", re.MULTILINE)
_DRAWN = "──"  # in a diagram, whose words are translated
_CODE = re.compile(r"`([^`]+)`")
_LINK = re.compile(r"\]\((?!https?:)([^)#]+\.md)")
_ANCHOR = re.compile(r"\]\(((?!https?:)[^)# ]*)#([^)]+)\)")
_PICTURE = re.compile(r"!\[([^]]*)\]\(([^)]+)\)")


def english_of(path: Path) -> Path:
    return path.with_name(path.name.replace(".zh-CN.md", ".md"))


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

    @property
    def links(self) -> Counter[str]:
        """The pages that it links to, whether English or Chinese."""
        return Counter(one.replace(".zh-CN.md", ".md") for one in _LINK.findall(self.prose))

    @property
    def pictures(self) -> list[str]:
        """The files of its pictures, whether they show English or Chinese, a desktop or a phone."""
        return [
            re.sub("(-phone)?(-zh-hans)?[.]", ".", address) for _, address in _PICTURE.findall(self.prose)
        ]

    @property
    def code(self) -> list[str]:
        """Its code blocks; of a diagram only that it is one."""
        return [_DRAWN if _DRAWN in block else block for block in self.blocks]


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


def slug(title: str) -> str:
    """The anchor that GitHub gives to a heading."""
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def section_pairs() -> Iterator[tuple[Section, Section]]:
    for path in CHINESE:
        yield from zip(sections_of(english_of(path)), sections_of(path), strict=False)


def test_these_pages_are_translated() -> None:
    assert set(NAMES) >= TRANSLATED


@pytest.mark.parametrize("path", CHINESE, ids=NAMES)
def test_both_have_the_same_headings_in_the_same_order(path: Path) -> None:
    english, chinese = sections_of(english_of(path)), sections_of(path)
    titles = [f"{one.title} = {other.title}" for one, other in zip(english, chinese, strict=False)]
    assert [one.level for one in english] == [one.level for one in chinese], titles


@pytest.mark.parametrize(
    ("english", "chinese"),
    list(section_pairs()),
    ids=lambda section: section.title.replace(" ", "-") if section.title.isascii() else "",
)
def test_both_sections_have_the_same_parts(english: Section, chinese: Section) -> None:
    assert chinese.code == english.code
    assert chinese.table_rows == english.table_rows
    for sign in ("\n- ", "\n1. ", "\n2. ", "**"):
        assert chinese.prose.count(sign) == english.prose.count(sign), sign
    assert chinese.links == english.links
    assert chinese.pictures == english.pictures
    assert chinese.names == english.names


@pytest.mark.parametrize("path", CHINESE, ids=NAMES)
def test_a_chinese_page_is_chinese(path: Path) -> None:
    """Each caption is, and each link leads to the Chinese page where there is one."""
    text = path.read_text("utf-8")
    assert [
        caption for caption, _ in _PICTURE.findall(text) if not re.search("[\u4e00-\u9fff]", caption)
    ] == []
    body = text.partition("\n## ")[2]
    english = [
        one
        for one in _LINK.findall(body)
        if (path.parent / one).with_suffix(".zh-CN.md").exists() and f"英文]({one})" not in body
    ]
    assert english == []


@pytest.mark.parametrize("path", [*CHINESE, *map(english_of, CHINESE)], ids=lambda path: path.name)
def test_every_anchor_leads_to_a_heading(path: Path) -> None:
    for page, anchor in _ANCHOR.findall(path.read_text("utf-8")):
        target = path.parent / page if page else path
        assert anchor in {slug(section.title) for section in sections_of(target)}, (page, anchor)


@pytest.mark.parametrize("path", CHINESE, ids=NAMES)
def test_each_page_links_to_the_other(path: Path) -> None:
    english = english_of(path)
    assert f"({path.name})" in sections_of(english)[0].prose
    assert f"({english.name})" in sections_of(path)[0].prose


def test_the_readme_leads_to_every_chinese_page() -> None:
    for readme in ("README.md", "README.zh-CN.md"):
        text = (ROOT / readme).read_text("utf-8")
        assert [
            one.name for one in CHINESE if f"({one.relative_to(ROOT)})" not in text and one.name != readme
        ] == []
