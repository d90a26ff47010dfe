"""The addresses under ``/api/auth/``."""

from __future__ import annotations

from typing import Any, ClassVar, cast

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from apps.auth import selectors, services
from apps.auth.entry.login_request import NO_STORE, log_in_by
from apps.auth.errors import Unauthenticated
from apps.auth.permissions import TO_CREATE_TOKENS, IsAdmin, IsReader, Needs
from apps.auth.principal import Principal
from apps.auth.serializers import (
    CreatedTokenSerializer,
    LoginResultSerializer,
    LoginSerializer,
    MeSerializer,
    NewTokenSerializer,
    RevokedTokenSerializer,
    TokenPageSerializer,
    TokenSerializer,
)
from apps.core.api.openapi.components import CACHE_CONTROL
from apps.core.api.openapi.facts import answers
from apps.core.api.serializers import PageQuerySerializer
from apps.core.api.viewsets import StrictView, ViewSet
from apps.core.errors import DependencyUnavailable, RateLimited


class LoginView(StrictView):
    """Exchanges a username and password for a login token."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    inputs: ClassVar = {"post": LoginSerializer}

    @extend_schema(
        operation_id="auth_login",
        summary="Log in",
        description="Ten attempts a minute per address and per user; then 429 with `Retry-After`.",
        request=LoginSerializer,
        responses=LoginResultSerializer,
    )
    @answers(Unauthenticated, RateLimited, DependencyUnavailable, headers={200: [CACHE_CONTROL]})
    def post(self, request: Request) -> Response:
        """Log in."""
        return Response(LoginResultSerializer(log_in_by(request)).data, headers=NO_STORE)


class MeView(StrictView):
    """Describes the caller."""

    permission_classes = (IsReader,)

    @extend_schema(operation_id="auth_me", summary="Who am I", responses=MeSerializer)
    def get(self, request: Request) -> Response:
        """Describe the caller with this token."""
        return Response(MeSerializer(_principal(request)).data)


class TokenViewSet(ViewSet):
    """API tokens: create, list, revoke."""

    permission_classes = (IsAdmin,)
    inputs: ClassVar = {"create": NewTokenSerializer, "list": PageQuerySerializer}
    path_examples: ClassVar = {"token_id": "683d3a5f9b1e8a5d2c4f7e10"}
    changes: ClassVar = {
        "create": TO_CREATE_TOKENS,
        "destroy": Needs("collector_auth.change_apitoken"),
    }

    @extend_schema(
        operation_id="auth_generate_token",
        summary="Create an API token",
        description="The token is shown in this response only; it is stored as a hash.",
        request=NewTokenSerializer,
        responses={201: CreatedTokenSerializer},
    )
    @answers(headers={201: [CACHE_CONTROL]})
    def create(self, request: Request) -> Response:
        """Create an API token."""
        serializer = self.valid_input(request)
        token = services.create_token(**serializer.validated_data, created_by=_principal(request).username)
        return Response(CreatedTokenSerializer(token).data, status=status.HTTP_201_CREATED, headers=NO_STORE)

    @extend_schema(
        operation_id="auth_list_tokens",
        summary="List API tokens",
        description="Newest first, revoked and expired ones too.",
        parameters=[PageQuerySerializer],
        responses=TokenPageSerializer,
    )
    def list(self, request: Request) -> Response:
        """List the API tokens."""
        query = self.valid_input(request)
        page = selectors.list_tokens(**query.validated_data)
        tokens = TokenSerializer(page.rows, many=True).data
        return Response({"tokens": tokens, "next_cursor": page.next_cursor})

    @extend_schema(
        operation_id="auth_revoke_token",
        summary="Revoke an API token",
        description="It is refused everywhere within one second. Revoking twice is harmless.",
        responses={200: RevokedTokenSerializer},
    )
    def destroy(self, request: Request, token_id: str) -> Response:
        """Revoke an API token."""
        revoked = services.revoke_token(token_id=token_id, revoked_by=_principal(request).username)
        return Response(RevokedTokenSerializer(revoked).data)


def _principal(request: Request) -> Principal:
    # The permission classes let only authenticated callers through.
    return cast(Principal, cast(Any, request).user)
