"""What every caller with a valid token may read: categories and figures."""

from __future__ import annotations

from typing import ClassVar

import orjson
from django.conf import settings
from django.utils.translation import gettext as _
from rest_framework.request import Request
from rest_framework.response import Response

from apps.categories.entries import tree_entry
from apps.compat.base import CompatViewSet
from apps.compat.figures import FiguresQuerySerializer, wrapped_figures
from apps.core.api.replies import caller_of
from apps.mengla.errors import CollectTimeout
from apps.mengla.reading.read import Miss, read
from apps.mengla.replies import hit_headers, standing_of

_RETRY_AFTER_SECONDS = 5


class CategoryViewSet(CompatViewSet):
    """The category tree."""

    def list(self, request: Request) -> Response:
        """Return the whole tree."""
        return Response({"ok": True, "data": orjson.loads(tree_entry().entry.body)["data"]})


class FiguresViewSet(CompatViewSet):
    """Figures; what is not stored is collected while the caller waits."""

    inputs: ClassVar = {"query": FiguresQuerySerializer}

    def query(self, request: Request) -> Response:
        """Return the figures; 504 when they, or points of a trend, have not come in time.

        At most half of the threads of a process wait; then a further miss is 504 at once.
        """
        query = self.valid_input(request).query()
        caller, wait_seconds = caller_of(request), settings.COMPAT_WAIT_SECONDS
        found = read(query, requested_by=caller.name, caller=caller.key, wait_seconds=wait_seconds)
        if isinstance(found, Miss):
            standing = standing_of(found.collection)
            retry_after = {"Retry-After": str(standing.retry_after_seconds)}
            raise CollectTimeout(standing.message, headers=retry_after)
        if found.is_incomplete:
            # The former client cannot see that points are missing.
            message = _("Some points of this trend are still being collected.")
            raise CollectTimeout(message, headers={"Retry-After": str(_RETRY_AFTER_SECONDS)})
        return Response(wrapped_figures(query, found.entry.body), headers=hit_headers(found))
