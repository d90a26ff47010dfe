"""The base classes of every model admin: fast on a million rows, and read-only unless it says otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import BadRequest
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse

from apps.core.admin_base.paging import NextOnlyPaginator

M = TypeVar("M", bound=Model)

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin as UnfoldModelAdmin

    UnfoldChangeList = ChangeList
else:
    from unfold.admin import ModelAdmin as _ModelAdmin
    from unfold.views import ChangeList as UnfoldChangeList

    class UnfoldModelAdmin(_ModelAdmin):
        """The theme's model admin, which may be written with its model in brackets."""

        def __class_getitem__(cls, _model: Any) -> type:
            return cls


class CollectorChangeList(UnfoldChangeList):
    """A list that offers to show all only where a filter or a search hides something."""

    def get_results(self, request: HttpRequest) -> None:
        """Read the page; the theme takes two different numbers for a sign that rows are hidden."""
        super().get_results(request)
        if not self.query and not self.has_active_filters:
            self.full_result_count = self.result_count


class UncountedChangeList(UnfoldChangeList):
    """A list that does not say how many rows it has, since nobody has counted them."""

    def get_results(self, request: HttpRequest) -> None:
        """Read the page; the bound of the pager is no number of results to show."""
        super().get_results(request)
        self.full_result_count = self.result_count


class CollectorModelAdmin(UnfoldModelAdmin[M]):
    """Lists without sorting by arbitrary columns, and without filters that it has not declared."""

    list_per_page = 50
    list_max_show_all = 0
    list_disable_select_all = True
    show_full_result_count = False
    sortable_by = ()
    compressed_fields = True

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Allow the declared filters only: Django would take any lookup of any field, and search it all."""
        return lookup in self._declared_parameters(request)

    def get_changelist(self, request: HttpRequest, **_named: Any) -> type[ChangeList]:
        """Return the list that tells how many rows a filter has left."""
        return CollectorChangeList

    def response_action(
        self, request: HttpRequest, queryset: QuerySet[M], *arguments: Any, **named: Any
    ) -> HttpResponse | None:
        """Refuse "all of the list", which may be a million rows."""
        if request.POST.get("select_across", "0") != "0":
            raise BadRequest("An action takes selected rows only.")
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
    """To look at: services alone write these rows, and nobody adds, edits or deletes one by a form."""

    def has_add_permission(self, request: HttpRequest, *_arguments: Any) -> bool:
        """Refuse: services write these rows."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        """Refuse: services write these rows."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        """Refuse: services write these rows."""
        return False


class LargeReadOnlyAdmin(ReadOnlyAdmin[M]):
    """To look at, with a pager that never counts."""

    paginator = NextOnlyPaginator

    def get_changelist(self, request: HttpRequest, **_named: Any) -> type[ChangeList]:
        """Return the list without a number of results."""
        return UncountedChangeList
