"""Columns and fields of the admin: coloured states, ages, and values for people."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from django.conf import settings
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _

F = TypeVar("F", bound=Callable[..., Any])

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


class Coloured(tuple[str, str]):
    """A key of the colours and a text; where no colours are shown, the text alone."""

    __slots__ = ()

    def __str__(self) -> str:
        return str(self[1])


def coloured(description: str | Promise, colours: Mapping[str, str]) -> Callable[[F], F]:
    """Show a column as a coloured label; the method returns :class:`Coloured`, with a key in ``colours``.

    The colours are the theme's: success, info, warning, danger.
    """

    def decorate(method: F) -> F:
        attributes: Any = method
        attributes.short_description = description
        attributes.label = dict(colours)
        return method

    return decorate


def short_duration(seconds: float | None) -> str:
    """Return a duration with one or two units, such as "3 min" or "2 h 5 min"; "-" for None."""
    if seconds is None:
        return "-"
    whole = max(0, int(seconds))
    if whole < _MINUTE:
        return _("%(seconds)d s") % {"seconds": whole}
    if whole < _HOUR:
        return _("%(minutes)d min") % {"minutes": whole // _MINUTE}
    if whole < _DAY:
        return _("%(hours)d h %(minutes)d min") % {
            "hours": whole // _HOUR,
            "minutes": whole % _HOUR // _MINUTE,
        }
    return _("%(days)d d %(hours)d h") % {"days": whole // _DAY, "hours": whole % _DAY // _HOUR}


def local_time(instant: datetime | None) -> str:
    """Return an instant in the market's time zone, to the second; "-" for None."""
    if instant is None:
        return "-"
    if timezone.is_naive(instant):  # as PyMongo returns it
        instant = instant.replace(tzinfo=UTC)
    return f"{timezone.localtime(instant, settings.BUSINESS_TIME_ZONE):%Y-%m-%d %H:%M:%S}"
