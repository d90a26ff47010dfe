"""The closed sets of values of this app, stored and shown in the API exactly as spelled here."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.core.periods import Granularity


class ModuleId(models.TextChoices):
    """The modules that a client can show; the labels are their initial names."""

    OVERVIEW = "overview", "行业总览"
    HIGH = "high", "蓝海Top行业"
    HOT = "hot", "热销Top行业"
    CHANCE = "chance", "潜力Top行业"


class DefaultPeriod(models.TextChoices):
    """The period that a client shows first: the length of one, or the latest update.

    What ``update`` shows is up to the client; it is stored and returned like the others.
    """

    DAY = Granularity.DAY.value, _("Day")
    MONTH = Granularity.MONTH.value, _("Month")
    QUARTER = Granularity.QUARTER.value, _("Quarter")
    YEAR = Granularity.YEAR.value, _("Year")
    UPDATE = "update", _("Latest update")
