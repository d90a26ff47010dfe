"""Records in the Django admin; they can only be viewed."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from apps.core.admin_base.display import Coloured, coloured
from apps.core.admin_base.model_admin import LargeReadOnlyAdmin
from apps.core.time_texts import instant_text, stored_period_text
from apps.mengla.admin.category_search import categories_searched
from apps.mengla.admin.figures import figures_of
from apps.mengla.admin.filters import EmptyFilter, GranularityFilter, RecordActionFilter
from apps.mengla.admin.texts import category_text, look_up_names, names_of, set_title
from apps.mengla.choices import GRANULARITIES
from apps.mengla.models import Record
from apps.mengla.queries.freshness import FIELDS, Freshness, freshness_of


@admin.register(Record)
class RecordAdmin(LargeReadOnlyAdmin[Record]):
    """Lists the newest records first; the figures are read only for the page of one record."""

    list_display = ("shown_id", "action", "category", "granularity_name", "period", "state", "updated")
    list_filter = (RecordActionFilter, GranularityFilter, EmptyFilter)
    search_fields = ("id",)  # shows the search box; get_search_results does the search
    search_help_text = _("Category name or ID, or the beginning of a record ID such as hot:1001:month")
    ordering = ("-updated_at", "-id")
    fields = (
        "shown_id",
        "action",
        "category_path",
        "granularity_name",
        "period",
        "variant",
        "state",
        "empty_reason",
        "collected",
        "stale_at",
        "kept_until",
        "collect_duration_ms",
        "collection",
        "figures",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Record]:
        """Return the rows without their figures, which are large; the page of one record loads them."""
        return super().get_queryset(request).defer("data", "run_ids")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Record], search_term: str
    ) -> tuple[QuerySet[Record], bool]:
        """Find by category, or by the beginning of the id; both searches use an index."""
        text = search_term.strip()
        if not text:
            return queryset, False
        cat_ids = [] if ":" in text else categories_searched(request, text)
        if cat_ids is None:
            return queryset.none(), False
        if cat_ids:
            return queryset.filter(cat_id__in=cat_ids), False
        # In the order of the keys: no index has all records with the same beginning in the order of time.
        return queryset.filter(id__startswith=text).order_by("-id"), False

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Record | None:
        """Return the row, with the name of its figures as its title."""
        return set_title(super().get_object(request, object_id, from_field))

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        """Look up once the names of the categories of the page."""
        page = super().get_changelist_instance(request)
        look_up_names(page.result_list)
        return page

    @coloured(_("figures"), {"present": "success", "provisional": "info", "empty": "warning"})
    def state(self, record: Record) -> Coloured:
        """Return whether there are figures, and whether they are provisional, with its colour."""
        is_provisional = _freshness(record).is_provisional
        if record.is_empty:
            return Coloured(("empty", _now("Empty, provisional") if is_provisional else _now("Empty")))
        if is_provisional:
            return Coloured(("provisional", _now("Present, provisional")))
        return Coloured(("present", _now("Present")))

    @admin.display(description=_("updated at"))
    def updated(self, record: Record) -> str:
        """Return when the record was last written."""
        return instant_text(record.updated_at)

    @admin.display(description=_("collected at"))
    def collected(self, record: Record) -> str:
        """Return when the figures were collected."""
        return instant_text(record.collected_at)

    @admin.display(description=_("fresh until"))
    def stale_at(self, record: Record) -> str:
        """Return when the figures become stale."""
        return instant_text(_freshness(record).fresh_until)

    @admin.display(description=_("kept until"))
    def kept_until(self, record: Record) -> str:
        """Return when the record is deleted."""
        return instant_text(record.expired_at)

    @admin.display(description=_("granularity"))
    def granularity_name(self, record: Record) -> str:
        """Return the granularity in words."""
        return str(dict(GRANULARITIES).get(record.granularity, record.granularity))

    @admin.display(description=_("period"))
    def period(self, record: Record) -> str:
        """Return the period as text."""
        return stored_period_text(record.period_key)

    @admin.display(description=_("category"))
    def category_path(self, record: Record) -> str:
        """Return the name of the category below its parents', and its id."""
        return names_of(record).path_text(record.cat_id)

    @admin.display(description=_("category"))
    def category(self, record: Record) -> SafeString | str:
        """Return the name and the id of the category."""
        return category_text(record.cat_id, names_of(record))

    @admin.display(description=_("collection"))
    def collection(self, record: Record) -> SafeString | str:
        """Return a link to the collection that collected the figures."""
        if not record.collection_id:
            return "-"
        address = reverse("admin:mengla_collection_change", args=[record.collection_id])
        link = '<a class="collector-link" href="{}">{}</a>'
        return format_html(link, address, record.collection_id)

    @admin.display(description=_("figures"))
    def figures(self, record: Record) -> SafeString:
        """Return the figures as tables, and as folded JSON."""
        return figures_of(record)


def _freshness(record: Record) -> Freshness:
    return freshness_of({name: getattr(record, name) for name in FIELDS})
