"""The response with an export: its headers and its body."""

from __future__ import annotations

import structlog
from django.http import HttpRequest, StreamingHttpResponse
from django.utils.cache import patch_vary_headers
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse

from apps.core.api.cached_response import accepts_gzip
from apps.core.api.file_response import FileBody, file_response
from apps.core.api.openapi.components import CACHE_CONTROL, ResponseHeader
from apps.core.api.openapi.facts import answers
from apps.core.errors import RateLimited
from apps.core.sheets.csv_text import CSV_TYPE
from apps.core.sheets.downloads import attachment
from apps.core.sheets.workbook import XLSX_TYPE
from apps.mengla.export.query import ExportFormat, ExportQuery
from apps.mengla.export.spool import COMPRESSED, ExportFile, open_export
from apps.mengla.export.summary import Summary
from apps.mengla.store.figures import PROVISIONAL_HEADER

MEDIA_TYPES = {
    ExportFormat.NDJSON: "application/x-ndjson",
    ExportFormat.CSV: CSV_TYPE,
    ExportFormat.XLSX: XLSX_TYPE,
    ExportFormat.PARQUET: "application/vnd.apache.parquet",
}
ROWS_HEADER = "X-MengLa-Export-Rows"
RECORDS_HEADER = "X-MengLa-Export-Records"
MISSING_HEADER = "X-MengLa-Export-Missing"
EMPTY_HEADER = "X-MengLa-Export-Empty"
MISSING_PERIODS_HEADER = "X-MengLa-Export-Missing-Periods"
_MAX_HEADER_CHARACTERS = 2048  # nginx refuses a response whose headers have more than 4 KB together
# For the OpenAPI document.
_KINDS = {ExportFormat.NDJSON: OpenApiTypes.STR, ExportFormat.CSV: OpenApiTypes.STR}
FILES = {
    (200, media_type.partition(";")[0]): OpenApiResponse(
        _KINDS.get(form, OpenApiTypes.BINARY),
        description="The file. Its headers count the rows, and what is missing.",
    )
    for form, media_type in MEDIA_TYPES.items()
}


def _count(name: str, meaning: str) -> ResponseHeader:
    return ResponseHeader(name, meaning, {"type": "integer", "minimum": 0})


_HEADERS = (
    CACHE_CONTROL,
    ResponseHeader(
        "Content-Disposition",
        "The name of the file.",
        {"type": "string", "example": 'attachment; filename="mengla-hot-month-2025-01-2025-12.csv"'},
    ),
    _count(ROWS_HEADER, "The rows of the file."),
    _count(RECORDS_HEADER, "The stored records of the range, empty ones too."),
    _count(MISSING_HEADER, "The periods of categories of which nothing is stored."),
    _count(EMPTY_HEADER, "The periods of categories for which the service had no figures."),
    ResponseHeader(
        MISSING_PERIODS_HEADER,
        "The missing periods by category, as far as 2048 characters allow; absent if there are none.",
        {"type": "string", "example": "4200: 2025-01, 2025-03..2025-06"},
        is_always=False,
    ),
    ResponseHeader(
        PROVISIONAL_HEADER,
        "Some of the figures were collected before their period was over.",
        {"type": "string", "enum": ["1"]},
        is_always=False,
    ),
)
answers_file = answers(RateLimited, headers={200: _HEADERS})


def export_response(
    request: HttpRequest, query: ExportQuery, form: ExportFormat, *, has_titles: bool = False
) -> StreamingHttpResponse:
    """Write the export and return it; raises as :func:`apps.mengla.export.spool.open_export` does.

    To HEAD it answers what is known without reading the records.
    """
    names = {
        "Content-Disposition": attachment(file_name(query), ending=form.value),
        "Cache-Control": "private, no-store",
    }
    if request.method == "HEAD":
        return _varied(StreamingHttpResponse((), content_type=MEDIA_TYPES[form], headers=names), form)
    file = open_export(query, form, has_titles=has_titles)
    as_stored = file.is_compressed and accepts_gzip(request.headers.get("Accept-Encoding", ""))
    headers = names | headers_of(file.summary) | ({"Content-Encoding": "gzip"} if as_stored else {})
    response = file_response(
        _body(file, as_stored=as_stored),
        length_bytes=file.stored_bytes if as_stored else file.length_bytes,
        content_type=MEDIA_TYPES[form],
        headers=headers,
    )
    return _varied(response, form)


def _varied(response: StreamingHttpResponse, form: ExportFormat) -> StreamingHttpResponse:
    """Say that the bytes depend on the encodings that the client accepts, if they do."""
    if form in COMPRESSED:
        patch_vary_headers(response, ("Accept-Encoding",))
    return response


def headers_of(summary: Summary) -> dict[str, str]:
    """Return the headers that say what an export holds and lacks."""
    headers = {
        ROWS_HEADER: str(summary.rows),
        RECORDS_HEADER: str(summary.records),
        MISSING_HEADER: str(summary.missing.count),
        EMPTY_HEADER: str(summary.empty.count),
    }
    if summary.missing.count:
        headers[MISSING_PERIODS_HEADER] = summary.missing.text(max_length=_MAX_HEADER_CHARACTERS)
    return headers | ({PROVISIONAL_HEADER: "1"} if summary.provisional.count else {})


def file_name(query: ExportQuery) -> str:
    """Return the name of the file, without its ending."""
    return f"mengla-{query.action.value}-{query.start.granularity}-{query.start.dashed}-{query.end.dashed}"


def _body(file: ExportFile, *, as_stored: bool) -> FileBody:
    length = file.stored_bytes if as_stored else file.length_bytes
    bound = structlog.contextvars.get_contextvars()  # of the request, whose lines are written before the end

    def close(sent_bytes: int) -> None:
        with structlog.contextvars.bound_contextvars(**bound):
            file.close(sent_bytes=sent_bytes, is_complete=sent_bytes == length)

    return FileBody(file.pieces(as_stored=as_stored), close)
