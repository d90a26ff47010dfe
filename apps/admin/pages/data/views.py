"""The data page: stored figures as tables, charts and files, with their freshness."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from django.http import HttpRequest, HttpResponse, JsonResponse
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
from apps.admin.pages.data.charts import charts_of
from apps.admin.pages.data.facts import describe_miss, failed_collection, freshness_of
from apps.admin.pages.data.form import (
    address_of,
    file_name,
    form_of,
    heading_of,
    parameters_of,
    read_query,
    recent_records,
)
from apps.categories.selectors import CategoryNames
from apps.core.admin_base.rights import may, name_of_user
from apps.core.errors import DomainError, InvalidInput, NotFound
from apps.core.stored_messages import list_text
from apps.mengla.choices import CollectionStatus, EmptyReason
from apps.mengla.monitoring.figure_tables import Table, tables_of
from apps.mengla.queries.parameters import DataQuery
from apps.mengla.reading.read import Hit, Miss, read, read_stored
from apps.mengla.store.figures import EMPTY, FRESHNESS_HEADER
from apps.mengla.store.selectors import find_collection, queue_position

_MAX_SORT = 80
# A page is for people: wider tables are in the files.
_MAX_COLUMNS, _MAX_ROWS = 60, 2000
_NAMES = ("action", "category", "granularity", "period", "from", "to")
_OF_TABLE = ("table", "sort")


@dataclass(frozen=True, slots=True)
class Shown:
    """Figures with their tables in the requested order."""

    query: DataQuery
    hit: Hit
    tables: list[Table]
    empty_reason: str


@require_safe
@staff_view(sees=SEE_RECORDS)
def data_page(request: HttpRequest) -> HttpResponse:
    """Show the figures of a query, or that they are being collected; without a query, the recent records.

    Missing figures are collected only if the user may change collections.
    """
    context: dict[str, Any] = {
        "form": form_of(request.GET, None),
        "can_collect": may(request, CHANGE_COLLECTIONS),
    }
    if not any(request.GET.values()):
        context["recent"] = recent_records()
        return page(request, "data/page.html", context, title=_("Data"))
    try:
        check_names(request.GET, *_NAMES, *_OF_TABLE, "collection")
        query = read_query(request.GET)
        context |= {"form": form_of(request.GET, query), "query": query, "heading": heading_of(query)}
        failed = failed_collection(request.GET.get("collection", ""), query)
        if failed is not None:
            context["failed"] = failed | {"again": address_of("admin:collector_data", parameters_of(query))}
            return page(request, "data/page.html", context, title=_("Data"))
        found = _read(query, request)
    except DomainError as error:
        context |= {"problem": message_of(error)}
        return page(request, "data/page.html", context, title=_("Data"), status=error.code.http_status)
    if not isinstance(found, Hit):
        context |= {"is_unknown": True} if found is None else {"miss": describe_miss(query, found)}
        return page(request, "data/page.html", context, title=_("Data"))
    shown = _shown(query, found, request.GET)
    context |= {
        "tables": [table.clipped(rows=_MAX_ROWS, columns=_MAX_COLUMNS) for table in shown.tables],
        "charts": charts_of(query, shown.tables),
        "freshness": freshness_of(found),
        "empty_reason": shown.empty_reason,
        "sort": _sort(request.GET, query),
        "exports": urlencode(parameters_of(query) | _sorting(request.GET)),
    }
    return page(request, "data/page.html", context, title=_("Data"))


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
        check_names(request.GET, *_NAMES, *_OF_TABLE, "format", "text")
        is_text_kept = _is_text_kept(request.GET)
        query = read_query(request.GET)
        found = _read(query, request)
        if not isinstance(found, Hit):
            return redirect(address_of("admin:collector_data", parameters_of(query)))
        shown = _shown(query, found, request.GET)
        if form == "xlsx":
            about = _about(shown)
            return files.xlsx(file_name(query), shown.tables, about=about, readers_name=heading_of(query))
        wanted = request.GET.get("table", "")
        tables = [table for table in shown.tables if table.name == wanted or not wanted]
        if not tables:
            raise NotFound(_("There is no such table."))
        names = [heading_of(query), *(tables[0].title for _more in shown.tables[1:2])]
        return files.csv(
            f"{file_name(query)}-{tables[0].name}",
            tables[0],
            readers_name=", ".join(names),
            is_text_kept=is_text_kept,
        )
    except DomainError as error:
        context = {"form": form_of(request.GET, None), "problem": message_of(error)}
        return page(request, "data/page.html", context, title=_("Data"), status=error.code.http_status)


def _read(query: DataQuery, request: HttpRequest) -> Hit | Miss | None:
    if may(request, CHANGE_COLLECTIONS):
        return read(query, requested_by=name_of_user(request))
    return read_stored(query)


def _shown(query: DataQuery, hit: Hit, given: Mapping[str, str]) -> Shown:
    body = orjson.loads(hit.entry.body)
    is_empty = hit.entry.headers.get(FRESHNESS_HEADER) == EMPTY
    sorting = _sorting(given)
    tables = [] if is_empty else tables_of(query, body["data"])
    if sorting:
        key, is_descending = sorting["sort"].removeprefix("-"), sorting["sort"].startswith("-")
        tables = [
            table.sorted_by(key, is_descending=is_descending) if table.name == sorting["table"] else table
            for table in tables
        ]
    reason = str(body["message"]).removeprefix("empty: ") if is_empty else ""
    if reason in EmptyReason.values:
        reason = str(EmptyReason(reason).label)
    return Shown(query, hit, tables, reason)


def _is_text_kept(given: Mapping[str, str]) -> bool:
    text = given.get("text", "")
    if text not in ("", "1"):
        raise InvalidInput(
            _("The input is not valid."), fields={"text": [_("Use 1, or omit this parameter.")]}
        )
    return text == "1"


def _sorting(given: Mapping[str, str]) -> dict[str, str]:
    sort, table = given.get("sort", ""), given.get("table", "")
    is_readable = 0 < len(sort) <= _MAX_SORT and 0 < len(table) <= _MAX_SORT
    return {"sort": sort, "table": table} if is_readable else {}


def _sort(given: Mapping[str, str], query: DataQuery) -> dict[str, Any]:
    sorting = _sorting(given)
    return {
        "base": urlencode(parameters_of(query)),
        "table": sorting.get("table", ""),
        "key": sorting.get("sort", "").removeprefix("-"),
        "is_descending": sorting.get("sort", "").startswith("-"),
    }


def _about(shown: Shown) -> list[tuple[str, str]]:
    freshness = freshness_of(shown.hit)
    return [
        (_("Figures"), heading_of(shown.query)),
        (_("Category"), CategoryNames([shown.query.cat_id]).path_text(shown.query.cat_id)),
        (_("Collected"), freshness["collected_at"]),
        (_("Fresh until"), freshness["fresh_until"]),
        (_("State"), list_text(_states(freshness))),
        (_("Source"), freshness["source"]),
        (_("Empty reason"), shown.empty_reason),
    ]


def _states(freshness: Mapping[str, Any]) -> list[str]:
    state = _("stale") if freshness["is_stale"] else _("fresh")
    return [state, _("provisional")] if freshness["is_provisional"] else [state]
