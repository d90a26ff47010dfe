"""The base class of the API's views."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.utils.translation import gettext
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSet as BaseViewSet

from apps.core.api.parsers import refuse_names, refuse_parameters
from apps.core.api.serializers import ExactSerializer, QuerySerializer

_PREFLIGHT = "OPTIONS"


class ViewSet(BaseViewSet):
    """A view that reads every body and query string, so that no address ignores what it is sent.

    ``inputs`` names, by action, the serializer of its parameters; an action that is not there takes none.
    ``path_examples`` are examples of the parameters in the path, by name.
    """

    inputs: ClassVar[Mapping[str, type[ExactSerializer]]] = {}
    path_examples: ClassVar[Mapping[str, Any]] = {}

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Check the caller, then the part of the request that the action does not use.

        :raises rest_framework.exceptions.ParseError: when the body is not JSON.
        :raises rest_framework.exceptions.UnsupportedMediaType: when its content type is not JSON.
        :raises rest_framework.exceptions.ValidationError: when the action takes no parameters in this part.
        """
        super().initial(request, *args, **kwargs)
        if self.action is not None and request.method != _PREFLIGHT:
            refuse_unread(request, self.inputs.get(self.action))
            _ = request.data

    def valid_input(self, request: Request) -> Any:
        """Return the serializer of this action with the valid parameters of the request.

        :raises rest_framework.exceptions.ValidationError: when they are not valid.
        """
        serializer_class = self.inputs[self.action]
        is_query = issubclass(serializer_class, QuerySerializer)
        serializer = serializer_class(data=request.query_params if is_query else request.data)
        serializer.is_valid(raise_exception=True)
        return serializer


class StrictView(APIView):
    """A view of an address with methods in place of actions, which is as strict."""

    inputs: ClassVar[Mapping[str, type[ExactSerializer]]] = {}

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Check the caller, then the part of the request that the method does not use."""
        super().initial(request, *args, **kwargs)
        method = str(request.method).lower()
        if method != "options" and hasattr(self, method):
            refuse_unread(request, self.inputs.get(method))


def refuse_unread(request: Request, reads: type[ExactSerializer] | None) -> None:
    """Refuse the part of a request that nothing reads; raises as :meth:`ViewSet.initial` does.

    ``reads`` is the serializer of the parameters: of the query string, of the body, or None.
    """
    reads_query = reads is not None and issubclass(reads, QuerySerializer)
    if not reads_query and request.META.get("QUERY_STRING"):
        refuse_parameters(request.query_params)
    if reads is not None and not reads_query:
        return
    body = request.data
    if not isinstance(body, Mapping):  # without a body it is an empty one
        raise ValidationError(gettext("This address takes no body."))
    refuse_names(body, (), unknown=gettext("Unknown name: this address takes no body."))
