"""How the pages of this app show the period and the category of a collection."""

from __future__ import annotations

from collections.abc import Mapping

from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from apps.categories.selectors import NamedCategory
from apps.core.periods import Granularity, PeriodError, parse_period

_SEPARATOR = ">"  # a name of level 2 may repeat that of its parent before it


def period_text(granularity: str, start_key: str, end_key: str) -> str:
    """Return a period such as ``2026-10``, or a range of periods; another program's keys are unchanged."""
    start, end = _dashed(granularity, start_key), _dashed(granularity, end_key)
    if start == end:
        return start
    return _("%(start)s to %(end)s") % {"start": start, "end": end}


def category_text(cat_id: str, names: Mapping[str, NamedCategory]) -> SafeString | str:
    """Return the name of a category, then its id smaller; ``names`` has those that exist."""
    if not cat_id:
        return _("All categories")
    named = names.get(cat_id)
    if named is None or named.name == cat_id:
        return cat_id
    name = named.name.rsplit(_SEPARATOR, 1)[-1].strip()
    return format_html('<span title="{}">{}</span> <small>{}</small>', named.name, name, cat_id)


def _dashed(granularity: str, key: str) -> str:
    try:
        return parse_period(key, Granularity(granularity)).dashed
    except (PeriodError, ValueError):
        return key
