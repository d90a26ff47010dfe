"""The base class of the API's views."""

from __future__ import annotations

from typing import Any

from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.viewsets import ViewSet as BaseViewSet


class ViewSet(BaseViewSet):
    """A view that parses every body, so that every address refuses a malformed one."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Check the caller, then parse the body, also for an action that does not use it.

        :raises rest_framework.exceptions.ParseError: when the body is not JSON.
        :raises rest_framework.exceptions.UnsupportedMediaType: when its content type is not JSON.
        """
        super().initial(request, *args, **kwargs)
        if self.action is not None and request.method not in SAFE_METHODS:
            _ = request.data
