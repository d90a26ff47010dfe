"""Cron expressions: which ones are taken, by the settings and by the admin."""

from __future__ import annotations

import pytest

from apps.core.errors import InvalidInput
from apps.core.scheduling.cron import MAX_LENGTH, clean_cron, parse_cron

TAKEN = [
    "* * * * *",
    "59 23 31 12 7",
    "00 007 1 1 0",
    "*/5 2-6/2 1,15 JAN-Mar mon,WED-fri",
    "5/20 * * * *",
    "*,30 * * * *",
    "0 0 L * *",
    "0 0 1,L 2 *",
    "0 0 * * MON#1",
    "0 0 * * 7#05",
    "0 0 * 2 mon#5",
    "0 0 29 2 *",
    "0 0 31 1,2 mon",
    "0 0 31 2 mon",
    "58/15 22/2 * * 6/2",
    "0 0 * * 5-7",
]
# croniter would read all values in their place.
OF_ONE_VALUE = [
    ("0-0 5-5/2,7 * * *", "0 5,7 * * *"),
    ("0 0 * * mon-MON", "0 0 * * mon"),
    ("0 0 * * mon-1", "0 0 * * mon"),
    ("0 0 * * 1-1/2", "0 0 * * 1"),
    ("0 0 * * 7/2", "0 0 * * 7"),
    ("59/15 0 * * *", "59 0 * * *"),
]
REFUSED = [
    "",
    "* * * *",
    "* * * * * *",
    "@daily",
    "60 * * * *",
    "* 24 * * *",
    "* * 0 * *",
    "* * 32 * *",
    "* * * 0 *",
    "* * * 13 *",
    "* * * * 8",
    "* * 0-0 * *",
    "* * * 0-0 *",
    "* * 0-5 * *",
    "* 5-1 * * *",
    "* * * nov-feb *",
    "* * * * 7-0",
    "*/0 * * * *",
    "*/ * * * *",
    "/5 * * * *",
    "*-5 * * * *",
    "1-2-3 * * * *",
    "1,,2 * * * *",
    "1/2/3 * * * *",
    "-1 * * * *",
    "+1 * * * *",
    "1_0 * * * *",
    "١ * * * *",
    "9" * 5000 + " * * * *",
    "jan * * * *",
    "* * * mon *",
    "* * * * january",
    "* * * * ſun",
    "L * * * *",
    "* * * * L",
    "* * 1-L * *",
    "* * L/2 * *",
    "* * LW * *",
    "* * 15W * *",
    "* * * * 5L",
    "* * * * L5",
    "* * * * 1#0",
    "* * * * 1#6",
    "* * * * mon-tue#1",
    "* * * * 1#1/2",
    "* * * * 1#1,2",
    "* * 1#1 * *",
    "* * ? * *",
    "H * * * *",
    "R * * * *",
    "0 0 30 2 *",
    "0 0 31 4,6,9,11 *",
    "0 0 31 2 */2",
    "0 0 31 2 1,*",
]


@pytest.mark.parametrize("text", TAKEN)
def test_what_comes_true_is_taken_as_it_is_written(text: str) -> None:
    assert parse_cron(f"  {text.replace(' ', '   ')} ") == clean_cron(text) == text


@pytest.mark.parametrize(("text", "meant"), OF_ONE_VALUE)
def test_a_range_of_one_value_is_that_value(text: str, meant: str) -> None:
    assert parse_cron(text) == clean_cron(text) == meant


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: text[:20])
def test_the_rest_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(ValueError, match=r"^must be a cron expression") as caught:
        parse_cron(text)
    assert not text or text not in str(caught.value)
    with pytest.raises(InvalidInput):
        clean_cron(text)


def test_what_is_too_long_to_be_stored_is_refused_in_the_admin() -> None:
    text = ",".join(["1"] * MAX_LENGTH) + " * * * *"
    assert parse_cron(text) == text
    with pytest.raises(InvalidInput):
        clean_cron(text)
