"""Reads the request of a login; the addresses of logins share it."""

from __future__ import annotations

from rest_framework.exceptions import APIException
from rest_framework.request import Request

from apps.auth import services
from apps.auth.serializers import LoginSerializer
from apps.core.errors import DomainError

NO_STORE = {"Cache-Control": "no-store"}  # for every response that contains a token


def log_in_by(request: Request) -> services.LoginResult:
    """Log in with the username and password of the body; a request without them is logged, too.

    :raises rest_framework.exceptions.APIException: when the body is not valid.
    :raises apps.core.errors.DomainError: as :func:`apps.auth.services.log_in` does.
    """
    address = request.META.get("REMOTE_ADDR", "")
    try:
        serializer = LoginSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
    except (APIException, DomainError):
        services.log_invalid_login(address=address)
        raise
    return services.log_in(**serializer.validated_data, address=address)
