"""How the pages of this app show the category of a collection."""

from __future__ import annotations

from collections.abc import Mapping

from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from apps.categories.selectors import NamedCategory


def category_text(cat_id: str, names: Mapping[str, NamedCategory]) -> SafeString | str:
    """Return the name of a category, then its id smaller; ``names`` has those that exist."""
    if not cat_id:
        return _("All categories")
    named = names.get(cat_id)
    if named is None or named.name == cat_id:
        return cat_id
    return format_html(
        '<span class="whitespace-nowrap" title="{}">{} <small>{}</small></span>',
        named.name,
        named.own_name,
        cat_id,
    )
