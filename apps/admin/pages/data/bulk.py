"""The export of a range from the data page: a small form, and the file that the API serves, too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

from django.http import HttpRequest, HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from apps.admin.pages.access import SEE_RECORDS, check_names, message_of, page, staff_view
from apps.admin.pages.inputs.faults import faults_of, texts_of
from apps.admin.pages.inputs.periods import control_of, default_start
from apps.categories.selectors import list_named_children, own_names
from apps.core import market_clock
from apps.core.errors import DomainError, Faults, InvalidInput
from apps.core.periods import Granularity, Period, PeriodError, parse_granularity
from apps.mengla.choices import ALL_CATEGORIES, Action
from apps.mengla.export.query import ExportFormat, ExportQuery, build_export_query
from apps.mengla.export_api.response import export_response
from apps.mengla.queries.data_query import DataQuery

_NAMES = ("action", "granularity", "scope", "from", "to", "format")
_FORM = "bulk"  # the id of the form
_SHOWN, _BELOW, _LEVEL1 = "shown", "below", "level1"
_SCOPES = (_SHOWN, _BELOW, _LEVEL1)
_FORMATS = {
    ExportFormat.XLSX: "Excel (XLSX)",
    ExportFormat.CSV: "CSV",
    ExportFormat.NDJSON: "NDJSON",
    ExportFormat.PARQUET: "Parquet",
}


def form_for(query: DataQuery, also: Sequence[str] = ()) -> dict[str, Any]:
    """Return the form beside the figures of a query and of further categories ("" for all together)."""
    start = query.start if query.is_trend else _start_of(query)
    given = QueryDict(mutable=True)
    given.update(
        {
            "action": query.action.value,
            "granularity": query.granularity.value,
            "from": start.dashed,
            "to": query.end.dashed,
        }
    )
    given.setlist("category", [one or ALL_CATEGORIES for one in dict.fromkeys((query.cat_id, *also))])
    return _form(given, {})


@require_safe
@staff_view(sees=SEE_RECORDS)
def bulk(request: HttpRequest) -> HttpResponseBase:
    """Return the file; what is wrong is told on a page with the form as it was filled in."""
    try:
        check_names(request.GET, *_NAMES, lists=("category",))
        query, form = _read(request.GET)
        return export_response(request, query, form, has_titles=True)
    except DomainError as error:
        return _page(request, error)


def _page(request: HttpRequest, error: DomainError) -> HttpResponse:
    context = {"bulk": _form(request.GET, faults_of(error)), "problem": message_of(error)}
    status = error.code.http_status
    response = page(request, "data/bulk.html", context, title=_("Export a range"), status=status)
    for name, value in error.headers.items():
        response.headers[name] = value
    return response


def _read(given: QueryDict) -> tuple[ExportQuery, ExportFormat]:
    faults = Faults()
    with faults.of("action"):
        action = Action(_one_of(given.get("action", ""), Action.values))
    with faults.of("granularity"):
        granularity = parse_granularity(given.get("granularity", ""))
    with faults.of("scope"):
        scope = _one_of(given.get("scope") or _SHOWN, _SCOPES)
    with faults.of("format"):
        form = ExportFormat(_one_of(given.get("format", ""), list(ExportFormat)))
    faults.check()
    cat_ids: list[str] | None = given.getlist("category")
    if scope == _BELOW:
        cat_ids = [one.cat_id for cat_id in given.getlist("category") for one in _children_of(cat_id)]
        if not cat_ids:
            message = _("There are no subcategories.")
            raise InvalidInput(message, fields={"category": [message]})
    if scope == _LEVEL1 or not cat_ids:
        cat_ids = None
    query = build_export_query(
        action=action,
        cat_ids=cat_ids,
        granularity=granularity,
        start=given.get("from", ""),
        end=given.get("to", ""),
        field="category",
    )
    return query, form


def _form(given: QueryDict, faults: Mapping[str, list[str]]) -> dict[str, Any]:
    told = texts_of(faults, *_NAMES, "category")
    cat_ids = given.getlist("category")[:20]
    granularity = _known(given.get("granularity", ""), list(Granularity), Granularity.MONTH.value)
    action = _known(given.get("action", ""), Action.values, Action.HOT.value)
    labels = (("from", _("From")), ("to", _("To")))
    controls = [
        control_of(
            name,
            label,
            given.get(name, ""),
            Granularity(granularity),
            today=market_clock.today(),
            blank=_("Choose"),
            fault=told.get(name, ""),
        )
        for name, label in labels
    ]
    return {
        "id": _FORM,
        "action": action,
        "granularity": granularity,
        "categories": cat_ids,
        "what": _("%(data_set)s, by %(granularity)s")
        % {"data_set": Action(action).label, "granularity": Granularity(granularity).label},
        "scopes": _scopes(cat_ids),
        "scope": given.get("scope") or _SHOWN,
        "scope_fault": told.get("scope") or told.get("category", ""),
        "periods": [replace(control, form=_FORM) for control in controls],
        "formats": [
            (form.value, name)
            for form, name in _FORMATS.items()
            if form is not ExportFormat.PARQUET or find_spec("pyarrow") is not None
        ],
        "format": given.get("format") or ExportFormat.XLSX.value,
        "format_fault": told.get("format", ""),
    }


def _scopes(cat_ids: Sequence[str]) -> list[tuple[str, str]]:
    names = own_names(cat_ids) | {ALL_CATEGORIES: _("All categories")}
    shown = ", ".join(names.get(cat_id, cat_id[:20]) for cat_id in cat_ids)
    parents = [cat_id for cat_id in cat_ids if _children_of(cat_id)]
    below = ", ".join(names.get(cat_id, cat_id) for cat_id in parents)
    return [
        *([(_SHOWN, shown)] if shown else []),
        *([(_BELOW, _("Subcategories of %s") % below)] if below else []),
        (_LEVEL1, _("Every level-1 category")),
    ]


def _children_of(cat_id: str) -> list[Any]:
    return [] if cat_id in ("", ALL_CATEGORIES) else list_named_children(cat_id)


def _start_of(query: DataQuery) -> Period:
    try:
        return default_start(query.end)
    except PeriodError:  # before the years of the product
        return query.end


def _one_of(text: str, names: Sequence[str]) -> str:
    if text not in names:
        raise InvalidInput(_("Must be one of: %(names)s.") % {"names": ", ".join(names)})
    return text


def _known(text: str, names: Sequence[str], default: str) -> str:
    return text if text in names else default
