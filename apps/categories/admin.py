"""The category tree in the Django admin, to look at: it changes only by an import."""

from __future__ import annotations

import json

from django.contrib import admin
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from apps.categories.models import Category
from apps.core.admin_base.model_admin import ReadOnlyAdmin


@admin.register(Category)
class CategoryAdmin(ReadOnlyAdmin[Category]):
    """Lists and shows categories; nothing can be added, changed or deleted here."""

    list_display = ("cat_id", "name_cn", "name_ru", "level", "parent_id", "updated_at")
    list_filter = ("level",)
    search_fields = ("name_cn", "name_ru", "cat_id")
    fields = (
        "cat_id",
        "name_cn",
        "name_ru",
        "level",
        "parent_id",
        "position",
        "updated_at",
        "data_hash",
        "pretty_data",
    )
    readonly_fields = fields

    @admin.display(description=_("imported node"))
    def pretty_data(self, category: Category) -> SafeString:
        """Show the imported node as indented JSON."""
        return format_html("<pre>{}</pre>", json.dumps(category.data, ensure_ascii=False, indent=2))
