"""The short page people get from the admin while MongoDB or Redis does not answer."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string
from django.utils.translation import gettext as _

from apps.core.api.envelope import is_api_path
from apps.core.errors import DependencyUnavailable
from apps.core.storage.outages import is_mongo_outage, is_redis_outage

GetResponse = Callable[[HttpRequest], HttpResponseBase]
logger = structlog.get_logger(__name__)

RETRY_AFTER_SECONDS = 5


class OutagePageMiddleware:
    """Turns an outage that ended a page outside the API into an answer with status 503."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer as the rest does."""
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Answer for a view or a template that failed; None leaves any other error to Django."""
        return None if is_api_path(request.path) else outage_page(error)


def outage_page(error: BaseException | None) -> HttpResponse | None:
    """Return the page for an error that means an outage, None for any other."""
    if error is None:
        return None
    if is_mongo_outage(error):
        message = _("The database does not answer. Try again shortly.")
    elif is_redis_outage(error):
        message = _("The cache does not answer. Try again shortly.")
    elif isinstance(error, DependencyUnavailable):
        message = error.message
    else:
        return None
    logger.warning("page_unavailable", error=type(error).__name__)
    # No request: the context of a request would ask the database who is looking.
    body = render_to_string("collector/unavailable.html", {"message": message})
    return HttpResponse(body, status=503, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})
