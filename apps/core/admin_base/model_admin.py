"""The base classes of model admins: fast on a million rows, and read-only if wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

from django import forms
from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import BadRequest
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy

from apps.core.admin_base import theme_lists
from apps.core.admin_base.filters import CheckedFilters, UnknownFilter, unknown_filter_page
from apps.core.admin_base.forms import check_printable
from apps.core.admin_base.history import translate_entry
from apps.core.admin_base.paging import NextOnlyPaginator

M = TypeVar("M", bound=Model)

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin as UnfoldModelAdmin

    UnfoldChangeList = ChangeList
else:
    from unfold.admin import ModelAdmin as _ModelAdmin
    from unfold.views import ChangeList as UnfoldChangeList

    class UnfoldModelAdmin(_ModelAdmin):
        """The theme's model admin, which accepts its model in brackets, as type checkers need it."""

        def __class_getitem__(cls, _model: Any) -> type:
            return cls


theme_lists.install()


class CollectorChangeList(CheckedFilters, UnfoldChangeList):
    """A list that offers to show all rows only when a filter or a search hides some."""

    def get_results(self, request: HttpRequest) -> None:
        """Read the page. If the two counts differ, the theme assumes that rows are hidden."""
        super().get_results(request)
        if not self.query and not self.has_active_filters:
            self.full_result_count = self.result_count


class UncountedChangeList(CheckedFilters, UnfoldChangeList):
    """A list that does not show how many rows it has, because they are not counted."""

    def get_results(self, request: HttpRequest) -> None:
        """Read the page. The pager's count is only an upper bound and must not be shown."""
        super().get_results(request)
        self.full_result_count = self.result_count


class CollectorModelAdmin(UnfoldModelAdmin[M]):
    """A model admin whose list neither sorts by other columns nor accepts undeclared filters."""

    list_per_page = 50
    list_max_show_all = 0
    list_disable_select_all = True
    show_full_result_count = False
    sortable_by = ()
    compressed_fields = True
    list_sections = ()  # the theme looks for them in each row, and a missing name takes long

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Return the form field; a text of one line must be printable, because pages show it."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if isinstance(field, forms.CharField) and not isinstance(field.widget, forms.Textarea):
            field.validators.append(check_printable)
        return field

    def action_checkbox(self, obj: M) -> SafeString:
        """Return the checkbox that selects the row, as the theme does, but without a template."""
        return theme_lists.checkbox_of(str(obj.pk))

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the history of the row, each entry in the language of the reader."""
        response: Any = super().history_view(request, object_id, extra_context)
        for entry in getattr(response, "context_data", {}).get("action_list", ()):
            translate_entry(entry)
        return cast(HttpResponse, response)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Allow the declared filters only: Django allows lookups of any field, which may scan all rows."""
        return lookup in self._declared_parameters(request)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the list, or what is wrong with the filters in its address."""
        try:
            response: HttpResponse = super().changelist_view(request, extra_context)
        except UnknownFilter as error:
            return unknown_filter_page(request, error)
        return response

    def get_changelist(self, request: HttpRequest, **_named: Any) -> type[ChangeList]:
        """Return the list that shows how many rows match the filters."""
        return CollectorChangeList

    def response_action(
        self, request: HttpRequest, queryset: QuerySet[M], *arguments: Any, **named: Any
    ) -> HttpResponse | None:
        """Refuse an action on the whole list, which may be a million rows."""
        if request.POST.get("select_across", "0") != "0":
            raise BadRequest("An action applies to selected rows only.")
        return super().response_action(request, queryset, *arguments, **named)

    def _declared_parameters(self, request: HttpRequest) -> set[str]:
        names: set[str] = set()
        for declared in self.get_list_filter(request):
            if isinstance(declared, str):
                names |= {declared, f"{declared}__exact", f"{declared}__isnull"}
            elif (
                isinstance(declared, type)
                and issubclass(declared, admin.SimpleListFilter)
                and declared.parameter_name
            ):
                names.add(declared.parameter_name)
        return names


class ReadOnlyAdmin(CollectorModelAdmin[M]):
    """Shows rows that only services write: no form adds, edits or deletes one."""

    def has_add_permission(self, request: HttpRequest, *_arguments: Any) -> bool:
        """Refuse: only services write these rows."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        """Refuse: only services write these rows."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        """Refuse: only services write these rows."""
        return False


class LargeReadOnlyAdmin(ReadOnlyAdmin[M]):
    """A read-only admin with a pager that never counts."""

    paginator = NextOnlyPaginator

    @admin.display(description=gettext_lazy("ID"))
    def shown_id(self, row: M) -> str:
        """Return the key; the label of Django's own field is not translated."""
        return str(row.pk)

    def get_changelist(self, request: HttpRequest, **_named: Any) -> type[ChangeList]:
        """Return the list without a number of results."""
        return UncountedChangeList
