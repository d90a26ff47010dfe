"""The page that the admin shows while MongoDB or Redis does not respond."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string

from apps.core.api.envelope import is_api_path
from apps.core.errors import DependencyUnavailable, mongo_unavailable, redis_unavailable
from apps.core.storage.outages import is_mongo_outage, is_redis_outage

GetResponse = Callable[[HttpRequest], HttpResponseBase]
logger = structlog.get_logger(__name__)

RETRY_AFTER_SECONDS = 5


class OutagePageMiddleware:
    """Turns an outage during a request outside the API into a page with status 503."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Return the response unchanged."""
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Return the page for an outage in a view or a template; None leaves the error to Django."""
        return None if is_api_path(request.path) else outage_page(error)


def outage_page(error: BaseException | None) -> HttpResponse | None:
    """Return the page for an error that means an outage; None for any other error."""
    if error is None:
        return None
    if is_mongo_outage(error):
        message = mongo_unavailable().message
    elif is_redis_outage(error):
        message = redis_unavailable().message
    elif isinstance(error, DependencyUnavailable):
        message = error.message
    else:
        return None
    logger.warning("page_unavailable", error=type(error).__name__)
    # Without the request: its context would read the user from the database.
    body = render_to_string("collector/unavailable.html", {"message": message})
    return HttpResponse(body, status=503, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})
