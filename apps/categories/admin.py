"""The category tree in the Django admin, read-only: only an import changes it."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from apps.categories import selectors
from apps.categories.models import Category, own_part
from apps.core.admin_base.model_admin import ReadOnlyAdmin

_CHANGE = "admin:categories_category_change"


class ParentFilter(admin.SimpleListFilter):
    """The children of one level-1 category."""

    title = _("level-1 category")
    parameter_name = "parent_id"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Offer the level-1 categories."""
        roots = Category.objects.filter(level=1).order_by("position")
        return [(root.cat_id, root.name_cn or root.name_ru or root.cat_id) for root in roots.defer("data")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Category]) -> QuerySet[Category]:
        """Keep the children of the chosen category."""
        chosen = self.value()
        return queryset.filter(parent_id=chosen) if chosen else queryset


@admin.register(Category)
class CategoryAdmin(ReadOnlyAdmin[Category]):
    """Lists categories as a tree and shows them; nothing can be added, changed or deleted here."""

    list_display = ("cat_id", "tree_name", "russian_name", "level", "parent", "updated_at")
    list_filter = ("level", ParentFilter)
    search_fields = ("name_cn", "name_ru", "cat_id")
    search_help_text = _("Chinese or Russian name, or id")
    list_before_template = "categories/tree.html"
    ordering = ("level", "parent_id", "position")
    fields = (
        "cat_id",
        "name_cn",
        "name_ru",
        "parents",
        "children",
        "level",
        "position",
        "updated_at",
        "data_hash",
        "pretty_data",
    )
    readonly_fields = fields

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the collapsed tree above the list, unless the list is searched or filtered."""
        context = {} if request.GET else {"tree": selectors.list_named_tree()}
        return super().changelist_view(request, context | (extra_context or {}))

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        """Look up once the names of the parents of the page."""
        page = super().get_changelist_instance(request)
        names = selectors.CategoryNames(one.parent_id for one in page.result_list)
        for one in page.result_list:
            one.parent_names = names
        return page

    @admin.display(description=_("Chinese name"))
    def tree_name(self, category: Category) -> SafeString:
        """Return the name, indented by its level."""
        return format_html(
            '<span class="collector-level" data-level="{}">{}</span>',
            category.level,
            own_part(category.name_cn) or "–",
        )

    @admin.display(description=_("Russian name"))
    def russian_name(self, category: Category) -> str:
        """Return the Russian name without its parents'."""
        return own_part(category.name_ru) or "–"

    @admin.display(description=_("parent category"))
    def parent(self, category: Category) -> str:
        """Return the name and the id of the category above."""
        parent_names: selectors.CategoryNames = category.parent_names  # type: ignore[attr-defined]
        return parent_names.text(category.parent_id) if category.parent_id else "–"

    @admin.display(description=_("parent categories"))
    def parents(self, category: Category) -> SafeString:
        """Return links to the categories above this one, level 1 first."""
        above: list[Category] = []
        parent_id = category.parent_id
        while len(above) < category.level and (parent := Category.objects.filter(pk=parent_id).first()):
            above.insert(0, parent)
            parent_id = parent.parent_id
        return _links(above, " › ")

    @admin.display(description=_("subcategories"))
    def children(self, category: Category) -> SafeString:
        """Return links to the children of this category."""
        return _links(Category.objects.filter(parent_id=category.cat_id).order_by("position"), ", ")

    @admin.display(description=_("imported node"))
    def pretty_data(self, category: Category) -> SafeString:
        """Show the imported node as indented JSON."""
        return format_html(
            "<details><summary>JSON</summary><pre>{}</pre></details>",
            json.dumps(category.data, ensure_ascii=False, indent=2),
        )


def _links(categories: Any, between: str) -> SafeString:
    links = (
        (reverse(_CHANGE, args=[one.pk]), own_part(one.name_cn or one.name_ru) or one.pk)
        for one in categories
    )
    link = '<a class="collector-link" href="{}">{}</a>'
    return format_html_join(between, link, links)
