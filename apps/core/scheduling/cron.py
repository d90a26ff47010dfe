"""Cron expressions: their validation, and their description in words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime

from croniter import croniter
from django.utils.translation import gettext as _

from apps.core.errors import InvalidInput
from apps.core.scheduling.cron_words import FIELDS, words_of

MAX_LENGTH = 100
_SOME_DAY = datetime(2024, 1, 1, tzinfo=UTC)
_VALUE, _STEP = "([0-9]+|[a-z]+)", "(?:/[0-9]+)?"
# The last day of a month; every value (*), one value or a range, with or without a step; the nth weekday.
_ITEM = re.compile(rf"l|\*{_STEP}|{_VALUE}(?:-{_VALUE})?{_STEP}|{_VALUE}#[0-9]+")


def parse_cron(text: str) -> str:
    """Return the expression as croniter reads it rightly; the settings use this function, too.

    It accepts only syntax that every cron accepts. croniter alone would also accept reversed ranges, random
    times and a sixth field. Fields have single spaces between them, and a range of one value is that value.

    :raises ValueError: when the text is not such an expression, or matches no date; the message does not
        contain the text.
    """
    try:
        fields = [
            ",".join(_item(one, low, high, names) for one in field.split(","))
            for field, (low, high, names) in zip(text.split(), FIELDS, strict=True)
        ]
        expression = " ".join(fields)
        # As in cron: if the day or the weekday begins with "*", both must match; otherwise one of them is
        # enough.
        croniter(expression, _SOME_DAY, implement_cron_bug=True).get_next(datetime)
    except ValueError as error:
        raise ValueError("must be a cron expression of five fields that matches at least one date") from error
    return expression


def clean_cron(text: str) -> str:
    """Return a user's expression as :func:`parse_cron` does.

    :raises InvalidInput: when it is too long to be stored, or ``parse_cron`` refuses it.
    """
    try:
        return parse_cron(text if len(text) <= MAX_LENGTH else "")
    except ValueError as error:
        message = _("Must be a cron expression of five fields that matches at least one date.")
        raise InvalidInput(_("The input is not valid."), fields={"cron": [message]}) from error


def describe_cron(expression: str) -> str:
    """Return the expression in words, such as "Every day at 02:00"; the times are in the market's zone.

    A text that is no cron expression is returned as it is.
    """
    try:
        return words_of(parse_cron(expression))
    except ValueError:
        return expression


def _item(item: str, low: int, high: int, names: Mapping[str, object]) -> str:
    """Return an item of a field; croniter would read a range of one value, and 7/2 as weekday, as all values.

    :raises ValueError: when it is none.
    """
    found = _ITEM.fullmatch(item.lower())
    if found is None:
        raise ValueError("not an item of a cron field")
    numbers = [low, *(int(str(names.get(text, text))) for text in found.groups() if text), high]
    if numbers != sorted(numbers):
        raise ValueError("out of bounds, or a reversed range")
    first, last, _nth = found.groups()
    is_one_value = numbers[1] == numbers[2] if last else first and "/" in item and numbers[1] == high
    return item[: len(first)] if is_one_value else item
