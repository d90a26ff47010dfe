"""Cron expressions: whether one can be used, and what it says in words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from croniter import croniter
from cronsim import CronSim, CronSimError
from django.utils.dates import MONTHS, WEEKDAYS
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.core.errors import InvalidInput

MAX_LENGTH = 100
_FIELD_COUNT = 5
_ANY = "*"
_SOME_DAY = datetime(2024, 1, 1, tzinfo=UTC)


def clean_cron(text: str) -> str:
    """Return the expression with single spaces.

    :raises InvalidInput: when it is none of five fields that both our reader and django-q2's accept, or when
        it never comes true.
    """
    fields = text.split() if len(text) <= MAX_LENGTH else []
    expression = " ".join(fields)
    if len(fields) != _FIELD_COUNT or not _comes_true(expression):
        message = _("Must be a cron expression of five fields that comes true some day.")
        raise InvalidInput(_("The input is not valid."), fields={"cron": [message]})
    return expression


def describe_cron(expression: str) -> str:
    """Return the expression in words, such as "Every day at 02:00"; the times are in the market's zone."""
    try:
        minute, hour, day, month, weekday = expression.split()
    except ValueError:
        return expression
    return " ".join(part for part in (_days(day, month, weekday), _times(minute, hour)) if part).strip()


def _comes_true(expression: str) -> bool:
    try:
        next(CronSim(expression, _SOME_DAY))
        croniter(expression, _SOME_DAY).get_next(datetime)
    except (CronSimError, ValueError, StopIteration):
        return False
    return True


def _times(minute: str, hour: str) -> str:
    if minute == _ANY and hour == _ANY:
        return _("every minute")
    if (step := _step(minute)) and hour == _ANY:
        return ngettext("every %(step)d minute", "every %(step)d minutes", step) % {"step": step}
    if minute.isdigit() and (hour == _ANY or _step(hour)):
        step = _step(hour) or 1
        every = ngettext("every %(step)d hour", "every %(step)d hours", step) % {"step": step}
        past = _("%(minute)d minutes past the hour") % {"minute": int(minute)}
        return every if int(minute) == 0 else f"{every}, {past}"
    hours, minutes = _numbers(hour), _numbers(minute)
    if hours and minutes and len(hours) * len(minutes) <= len(WEEKDAYS):
        clock = ", ".join(f"{one:02d}:{other:02d}" for one in hours for other in minutes)
        return _("at %(times)s") % {"times": clock}
    return _("at minutes %(minutes)s of hours %(hours)s") % {"minutes": minute, "hours": hour}


def _days(day: str, month: str, weekday: str) -> str:
    parts = []
    if day == _ANY and weekday == _ANY:
        parts.append(_("Every day"))
    elif day != _ANY:
        parts.append(_("On day %(days)s of the month") % {"days": day.replace(",", ", ")})
    if weekday != _ANY:
        words = {"days": _named(weekday, _WEEKDAY_NAMES)}
        parts.append((_("or on %(days)s") if day != _ANY else _("On %(days)s")) % words)
    if month != _ANY:
        parts.append(_("in %(months)s") % {"months": _named(month, MONTHS)})
    return " ".join(parts)


def _step(field: str) -> int | None:
    start, slash, step = field.partition("/")
    return int(step) if slash and start in {_ANY, "0"} and step.isdigit() else None


def _numbers(field: str) -> list[int]:
    parts = field.split(",")
    return [int(part) for part in parts] if all(part.isdigit() for part in parts) else []


# Cron counts from Sunday, which is 0 and 7; Django counts from Monday.
_WEEKDAY_NAMES = {number: WEEKDAYS[(number - 1) % 7] for number in range(8)}


def _named(field: str, names: Mapping[int, object]) -> str:
    numbers = _numbers(field)
    if not numbers or not all(number in names for number in numbers):
        return field
    return ", ".join(str(names[number]) for number in numbers)
