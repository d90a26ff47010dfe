"""Content negotiation: the API speaks JSON, whatever the client's Accept header says."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request


class AlwaysJSON(DefaultContentNegotiation):
    """Chooses the view's first renderer, so that no Accept header causes a 406 response."""

    def select_renderer(
        self,
        request: Request,
        renderers: Iterable[BaseRenderer],
        format_suffix: str | None = None,
    ) -> Any:
        """Return the first renderer and its media type."""
        first = next(iter(renderers))
        return first, first.media_type
