"""The names of downloaded files: plain for programs, in the reader's language for browsers."""

from __future__ import annotations

import pytest

from apps.core.sheets.downloads import attachment


@pytest.mark.parametrize(
    ("own", "shown"),
    [
        ("", None),
        ("热销, 厨房", "%E7%83%AD%E9%94%80%2C%20%E5%8E%A8%E6%88%BF.csv"),
        ('a/b\\c"d\r\nX: y', "a%20b%20c%20d%20X%20y.csv"),
        ("\u202etxt.exe", "txt.exe.csv"),
        ("x" * 500, "x" * 120 + ".csv"),
        ("...", None),
    ],
)
def test_a_name_is_safe(own: str, shown: str | None) -> None:
    ending = f"; filename*=UTF-8''{shown}" if shown else ""
    assert attachment("mengla-hot", ending="csv", readers_name=own) == (
        f'attachment; filename="mengla-hot.csv"{ending}'
    )
