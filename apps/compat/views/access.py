"""Logins and new API tokens."""

from __future__ import annotations

from typing import ClassVar

from django.utils.translation import gettext as _
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from apps.auth import services
from apps.auth.entry.login_request import NO_STORE, log_in_by
from apps.auth.permissions import TO_CREATE_TOKENS, IsAdmin
from apps.auth.serializers import LoginSerializer
from apps.compat.base import CompatViewSet
from apps.compat.serializers import NewTokenSerializer


class LoginViewSet(CompatViewSet):
    """Exchanges a username and password for a login token."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    inputs: ClassVar = {"log_in": LoginSerializer}

    def log_in(self, request: Request) -> Response:
        """Log in."""
        login = log_in_by(request)
        return Response({"ok": True, "token": login.token, "username": login.username}, headers=NO_STORE)


class TokenViewSet(CompatViewSet):
    """New API tokens, for reading."""

    permission_classes = (IsAdmin,)
    changes: ClassVar = {"create": TO_CREATE_TOKENS}
    inputs: ClassVar = {"create": NewTokenSerializer}

    def create(self, request: Request) -> Response:
        """Create a token; one that was to live longer than a token may gets the longest lifetime."""
        body = self.valid_input(request)
        label, wanted = body.validated_data["label"], body.validated_data["expires_hours"]
        hours = body.lifetime_hours()
        created = services.create_token(
            label=label, expires_hours=hours, created_by=request.user.get_username()
        )
        answer = {"ok": True, "token": created.token, "label": created.label, "expires_hours": hours}
        if hours != wanted:
            answer["message"] = _("The longest lifetime of a token is %(hours)d hours.") % {"hours": hours}
        return Response(answer, headers=NO_STORE)
