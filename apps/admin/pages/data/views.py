"""The data page: stored figures as tables, charts and files, with their freshness."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse, QueryDict
from django.shortcuts import redirect
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from apps.admin.pages import files
from apps.admin.pages.access import (
    CHANGE_COLLECTIONS,
    SEE_RECORDS,
    check_names,
    json_problem,
    message_of,
    page,
    staff_view,
)
from apps.admin.pages.data import bulk
from apps.admin.pages.data.addresses import (
    address_of,
    file_name,
    heading_of,
    parameters_of,
    recent_records,
    steps_of,
)
from apps.admin.pages.data.facts import describe_miss, failed_collection, freshness_of
from apps.admin.pages.data.figures import context as figures
from apps.admin.pages.data.figures.options import LIST_NAMES, SINGLE_NAMES, Options, read_options
from apps.admin.pages.data.form import NAMES, Asked, form_of, newest_asked, read_asked
from apps.admin.pages.data.shown import about, read_is_text_kept, shown_of, sort_of, sorting_of
from apps.admin.pages.inputs.faults import faults_of
from apps.core.admin_base.rights import may, name_of_user
from apps.core.errors import DomainError, Faults, InvalidInput, NotFound
from apps.mengla.choices import CollectionStatus
from apps.mengla.queries.data_query import ALL_CATEGORIES
from apps.mengla.reading.read import Hit, Miss, read, read_stored
from apps.mengla.store.selectors import find_collection, queue_position

# A page is for people: wider tables are in the files.
_MAX_COLUMNS, _MAX_ROWS = 60, 2000
_OF_TABLE = ("table", "sort")


@require_safe
@staff_view(sees=SEE_RECORDS)
def data_page(request: HttpRequest) -> HttpResponse:
    """Show the figures of a query, or that they are being collected; without a query, the recent records.

    Missing figures are collected only if the user may change collections.
    """
    given = request.GET.copy()
    is_first = not any(given.values())
    asked: Asked | None = None
    try:
        asked, options = (newest_asked(), Options()) if is_first else _read_page(given)
        if asked is None:
            return _page(request, {"form": form_of(given), "recent": recent_records()})
        query = asked.query
        choices = figures.read_choices(options, query)
        kept = {name: given.getlist(name) for name in (*SINGLE_NAMES, *LIST_NAMES) if given.get(name)}
        context: dict[str, Any] = {
            "form": form_of(given, asked),
            "query": query,
            "heading": heading_of(query),
            "notes": asked.notes,
            "steps": steps_of(query, {name: kept[name] for name in kept if choices.holds_elsewhere(name)}),
            "recent": recent_records() if is_first else (),
            "bulk": bulk.form_for(query, options.also),
            "collect": address_of("admin:collector_data", parameters_of(query) | kept),
        }
        failed = failed_collection(given.get("collection", ""), query)
        if failed is not None:
            return _page(request, context | {"failed": failed | {"again": context["collect"]}})
        found = _read(asked, request)
    except DomainError as error:
        context = {"form": form_of(given, asked, faults_of(error)), "problem": message_of(error)}
        return _page(request, context, status=error.code.http_status)
    if not isinstance(found, Hit):
        context |= {"is_unknown": True} if found is None else {"miss": describe_miss(query, found, kept)}
        return _page(request, context)
    shown = shown_of(query, found, given)
    context |= {
        "tables": [table.clipped(rows=_MAX_ROWS, columns=_MAX_COLUMNS) for table in shown.tables],
        "freshness": freshness_of(found),
        "empty_reason": shown.empty_reason,
        "sort": sort_of(given, query, kept),
        "exports": urlencode({**parameters_of(query), **kept, **sorting_of(given)}, doseq=True),
    }
    limits = {"rows": _MAX_ROWS, "columns": _MAX_COLUMNS}
    context |= figures.describe(choices, found, shown.tables, sorting_of(given), **limits)
    return _page(request, context)


def _page(request: HttpRequest, context: dict[str, Any], *, status: int = 200) -> HttpResponse:
    context["can_collect"] = may(request, CHANGE_COLLECTIONS)
    return page(request, "data/page.html", context, title=_("Data"), status=status)


def _read_page(given: QueryDict) -> tuple[Asked, Options]:
    """Read what the page is asked for; every fault is told at once.

    The further categories become ids: a person without scripts may write names, or leave the field blank.
    """
    faults = Faults()
    with faults.of("action"):
        check_names(given, *NAMES, *_OF_TABLE, *SINGLE_NAMES, "collection", lists=LIST_NAMES)
    with faults.of("also"):
        options = read_options(given)
        given.setlist("also", [cat_id or ALL_CATEGORIES for cat_id in options.also])
    with faults.of("action"):
        asked = read_asked(given)
    faults.check()
    return asked, options


@require_safe
@staff_view(sees=SEE_RECORDS)
def state(request: HttpRequest) -> HttpResponse:
    """Return the state of the awaited collection to the script."""
    collection = find_collection(request.GET.get("collection", ""))
    if collection is None:
        return json_problem(_("There is no such collection."), status=404)
    return JsonResponse(
        {
            "status": collection["status"],
            "status_name": str(CollectionStatus(collection["status"]).label),
            "is_final": collection["active_key"] is None,
            "position": queue_position(collection),
        }
    )


@require_safe
@staff_view(sees=SEE_RECORDS)
def export(request: HttpRequest) -> HttpResponse:
    """Return the tables of the page as a file: CSV holds one table, XLSX all of them."""
    form = request.GET.get("format", "csv")
    try:
        if form not in files.FORMATS:
            raise InvalidInput(_("There is no such format. Use csv or xlsx."))
        names = (*NAMES, *_OF_TABLE, *SINGLE_NAMES, "format", "text")
        check_names(request.GET, *names, lists=LIST_NAMES)
        is_text_kept = read_is_text_kept(request.GET)
        asked = read_asked(request.GET)
        query = asked.query
        choices = figures.read_choices(read_options(request.GET), query)
        found = _read(asked, request)
        if not isinstance(found, Hit):
            return redirect(address_of("admin:collector_data", parameters_of(query)))
        shown = shown_of(query, found, request.GET)
        compared = figures.compared_tables(choices, found, shown.tables, sorting_of(request.GET))
        all_tables = [*shown.tables, *compared]
        if form == "xlsx":
            facts = about(shown)
            return files.xlsx(file_name(query), all_tables, about=facts, readers_name=heading_of(query))
        wanted = request.GET.get("table", "")
        tables = [table for table in all_tables if table.name == wanted or not wanted]
        if not tables:
            raise NotFound(_("There is no such table."))
        titles = [heading_of(query), *(tables[0].title for _more in all_tables[1:2])]
        return files.csv(
            f"{file_name(query)}-{tables[0].name}",
            tables[0],
            readers_name=", ".join(titles),
            is_text_kept=is_text_kept,
        )
    except DomainError as error:
        context = {"form": form_of(request.GET, faults=faults_of(error)), "problem": message_of(error)}
        return _page(request, context, status=error.code.http_status)


def _read(asked: Asked, request: HttpRequest) -> Hit | Miss | None:
    if asked.is_chosen and may(request, CHANGE_COLLECTIONS):
        return read(asked.query, requested_by=name_of_user(request))
    return read_stored(asked.query)
