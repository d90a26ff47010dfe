"""The category tree in the Django admin, to look at: it changes only by an import."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from apps.categories.models import Category

if TYPE_CHECKING:
    _CategoryModelAdmin = admin.ModelAdmin[Category]
else:
    _CategoryModelAdmin = admin.ModelAdmin


@admin.register(Category)
class CategoryAdmin(_CategoryModelAdmin):
    """Lists and shows categories; nothing can be added, changed or deleted here."""

    list_display = ("cat_id", "name_cn", "name_ru", "level", "parent_id", "updated_at")
    list_filter = ("level",)
    search_fields = ("name_cn", "name_ru", "cat_id")
    list_per_page = 50
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

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse: the import is the only writer."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Category | None = None) -> bool:
        """Refuse: the import is the only writer."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Category | None = None) -> bool:
        """Refuse: the import is the only writer."""
        return False
