"""Finds the user of a session, also while hosts have different values of SECRET_KEY."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django.contrib.auth import middleware
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

if TYPE_CHECKING:
    from apps.core.storage.sessions import SessionStore


class AuthenticationMiddleware(middleware.AuthenticationMiddleware):
    """Django's, but a session keeps its key when SECRET_KEY changes.

    Django gives a session another key when a key of SECRET_KEY_FALLBACKS has verified it, and deletes the one
    with the former key. Requests that the browser has sent at the same time would then log the user out.
    """

    def process_request(self, request: HttpRequest) -> None:
        """Set ``request.user``, which is looked up when it is first used."""
        super().process_request(request)
        user: Any = SimpleLazyObject(lambda: _user_of(request))
        request.user = user


def _user_of(request: HttpRequest) -> Any:
    with cast("SessionStore", request.session).keeping_key():
        return middleware.get_user(request)
