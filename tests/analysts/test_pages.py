"""The pages for analysts say what an export has: all data sets, all columns, and the unit of each."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from django.utils import translation

from apps.mengla.choices import Action
from apps.mengla.export.columns import BASE, ExportColumn, columns_of
from tests.analysts.pages import CHINESE, ENGLISH, blocks_of, table_rows

BOTH = pytest.mark.parametrize("page", [ENGLISH, CHINESE], ids=["english", "chinese"])
# The words of each page for the kinds of columns.
_TEXT = {ENGLISH: "text", CHINESE: "文本"}
_NUMBER = {ENGLISH: "number", CHINESE: "数值"}
_FLAG = {ENGLISH: "true or false", CHINESE: "true 或 false"}
_INSTANT = {ENGLISH: "instant", CHINESE: "时间"}
_CODE = re.compile(r"`([^`]+)`")
# What the prose describes in place of a table.
_IN_PROSE = {"view", "more"}


def unit_of(column: ExportColumn, page: Path) -> str:
    """The unit that the page gives to a column, in its own words."""
    special: Mapping[str, str] = {"provisional": _FLAG[page], "collected_at": _INSTANT[page]}
    if column.key in special:
        return special[column.key]
    match column.kind:
        case "money":
            return "¥" if column.key.endswith("Rmb") else "₽"
        case "percent" | "change":
            return "%"
        case "number":
            return _NUMBER[page]
    return _TEXT[page]


def test_both_pages_have_the_same_code() -> None:
    assert blocks_of(CHINESE) == blocks_of(ENGLISH)
    assert {one.language for one in blocks_of(ENGLISH)} == {"", "sh", "python", "sql", "powerquery"}


@BOTH
def test_every_column_is_described_with_its_unit(page: Path) -> None:
    data_sets = (Action.HOT, Action.INDUSTRY_VIEW, Action.INDUSTRY_TREND)
    expected = [*BASE, *(one for action in data_sets for one in columns_of(action)[len(BASE) :])]
    units = {unit_of(one, page) for one in expected}
    rows = [cells for cells in table_rows(page, columns=3) if cells[2] in units]
    described = [(found[1], cells[2]) for cells in rows if (found := _CODE.fullmatch(cells[0]))]
    assert described == [(one.key, unit_of(one, page)) for one in expected if one.key not in _IN_PROSE]
    assert all(f"`{name}`" in page.read_text("utf-8") for name in _IN_PROSE)


def test_the_rankings_have_the_same_columns() -> None:
    assert columns_of(Action.HIGH) == columns_of(Action.HOT) == columns_of(Action.CHANCE)


@BOTH
def test_every_data_set_is_described_with_its_name(page: Path) -> None:
    rows = table_rows(page, columns=4)
    described = {found[1]: cells[1] for cells in rows if (found := _CODE.fullmatch(cells[0]))}
    with translation.override("zh-hans" if page == CHINESE else "en"):
        assert described == {action.value: str(action.label) for action in Action}


@BOTH
def test_pages_and_buttons_have_the_names_of_the_product(page: Path) -> None:
    text = " ".join(page.read_text("utf-8").split())
    named = ("API tokens", "Data", "Compare with", "Further categories", "Export a range")
    with translation.override("zh-hans" if page == CHINESE else "en"):
        assert [one for one in named if f"*{translation.gettext(one)}*" not in text] == []
