"""Keeps a login that has begun in a signed cookie, so that no stranger can fill the store of sessions."""

from __future__ import annotations

from dataclasses import asdict

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from apps.auth.oidc.provider import Attempt

LIFETIME_SECONDS = 600
NAME = "oidc_login"
_SALT = "apps.auth.oidc"


def keep(response: HttpResponse, attempt: Attempt) -> None:
    """Give the attempt to the browser that began it."""
    response.set_cookie(
        NAME,
        signing.dumps(asdict(attempt), salt=_SALT),
        max_age=LIFETIME_SECONDS,
        path=reverse("collector_oidc:callback"),
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",  # the provider's redirect must bring it
    )


def read(request: HttpRequest) -> Attempt | None:
    """Return the attempt of this browser, None when there is none or it has expired."""
    try:
        values = signing.loads(request.COOKIES.get(NAME, ""), salt=_SALT, max_age=LIFETIME_SECONDS)
        return Attempt(**values)
    except (signing.BadSignature, TypeError):
        return None


def forget(response: HttpResponse) -> None:
    """Remove the attempt from the browser."""
    response.delete_cookie(NAME, path=reverse("collector_oidc:callback"), samesite="Lax")
