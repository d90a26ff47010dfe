"""Keeps a login that has begun in a signed cookie, so that no stranger can fill the store of sessions.

Another host of the same domain must not be able to plant a cookie here, with a login that it began itself:
the browser would be logged in as a stranger. With https, the prefix of the name prevents this.
"""

from __future__ import annotations

from dataclasses import asdict

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse

from apps.auth.oidc.provider import Attempt

LIFETIME_SECONDS = 600
_SALT = "apps.auth.oidc"


def name() -> str:
    """Return the name of the cookie; with its prefix, browsers take it from this very host by https only."""
    return "__Host-oidc_login" if settings.HTTPS_ONLY else "oidc_login"


def keep(response: HttpResponse, attempt: Attempt) -> None:
    """Give the attempt to the browser that began it."""
    response.set_cookie(
        name(),
        signing.dumps(asdict(attempt), salt=_SALT),
        max_age=LIFETIME_SECONDS,
        secure=settings.HTTPS_ONLY,
        httponly=True,
        samesite="Lax",  # the provider's redirect must bring it
    )


def read(request: HttpRequest) -> Attempt | None:
    """Return the attempt of this browser, None when there is none or it has expired."""
    try:
        values = signing.loads(request.COOKIES.get(name(), ""), salt=_SALT, max_age=LIFETIME_SECONDS)
        return Attempt(**values)
    except (signing.BadSignature, TypeError):
        return None


def forget(response: HttpResponse) -> None:
    """Remove the attempt from the browser."""
    # Not delete_cookie: browsers ignore a cookie with this prefix that is not secure.
    response.set_cookie(name(), max_age=0, secure=settings.HTTPS_ONLY, httponly=True, samesite="Lax")
