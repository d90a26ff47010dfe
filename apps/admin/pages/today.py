"""The present day of the market, and the lengths of periods with their names."""

from __future__ import annotations

from datetime import UTC, date, datetime

from django.conf import settings
from django.utils.translation import gettext as _

from apps.core.periods import Granularity, business_date


def today() -> date:
    """Return the present day of the market."""
    return business_date(datetime.now(UTC), settings.BUSINESS_TIME_ZONE)


def granularity_choices() -> list[tuple[str, str]]:
    """Return the granularities with their names, for a form."""
    names = (_("Day"), _("Month"), _("Quarter"), _("Year"))
    return [(granularity.value, name) for granularity, name in zip(Granularity, names, strict=True)]
