"""The base of the API's views."""

from __future__ import annotations

from typing import Any

from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.viewsets import ViewSet as BaseViewSet


class ViewSet(BaseViewSet):
    """A view that reads every body it is sent, so that a broken one is refused wherever it is sent."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Let the caller in, then parse the body: an action that needs none would never look at it.

        :raises rest_framework.exceptions.ParseError: when it is no JSON.
        :raises rest_framework.exceptions.UnsupportedMediaType: when it says that it is none.
        """
        super().initial(request, *args, **kwargs)
        if self.action is not None and request.method not in SAFE_METHODS:
            _ = request.data
