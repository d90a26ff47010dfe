"""The token authentication of the plain views."""

from __future__ import annotations

import hashlib
from typing import Any

from django.utils import timezone
from rest_framework.authentication import TokenAuthentication as DrfTokenAuthentication
from rest_framework.exceptions import AuthenticationFailed

from apps.auth.models import ApiToken


class TokenUser:
    """The user of a token."""

    is_authenticated = True


class TokenAuthentication(DrfTokenAuthentication):
    """Finds the token of each request in MongoDB, as that of Django REST framework does."""

    keyword = "Bearer"

    def authenticate_credentials(self, key: str) -> tuple[Any, Any]:
        token = ApiToken.objects.filter(token_hash=hashlib.sha256(key.encode()).hexdigest()).first()
        if token is None or token.revoked_at is not None or token.expires_at <= timezone.now():
            raise AuthenticationFailed
        return TokenUser(), token
