"""Reads ``Authorization: Bearer <token>`` for DRF."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from apps.auth import selectors, services
from apps.auth.errors import AUTHENTICATE_HEADER, Unauthenticated
from apps.auth.principal import Principal
from apps.auth.tokens.caller_cache import Acceptance, CallerUnknownError
from apps.core.caching.replay import CALLER
from apps.core.storage.clock import server_now

_SCHEME = "bearer"
_HEADER = re.compile(r"bearer +([A-Za-z0-9._~+/=-]{1,4096}) *", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True, eq=False)
class AcceptedCaller:
    """A caller whose answers may be replayed (:mod:`apps.core.caching.replay`)."""

    acceptance: Acceptance
    token_id: str | None

    def is_accepted(self, now: float) -> bool:
        """Whether the caller would be accepted again now (Unix seconds); decided from memory."""
        return self.acceptance.holds(now)

    def renew(self) -> None:
        """Read the caller's state anew if it will soon be too old, and note the use of its token."""
        with contextlib.suppress(CallerUnknownError):  # its next request says so
            self.acceptance.renew()
        if self.token_id is not None:
            services.record_token_use(token_id=self.token_id, now=server_now())


class BearerAuthentication(BaseAuthentication):
    """Accepts login tokens and API tokens; ignores other schemes."""

    def authenticate(self, request: Request) -> tuple[Principal, None] | None:
        """Return the caller, or None when the request has no bearer token.

        :raises AuthenticationFailed: when the header is malformed or the token is not valid.
        """
        header = request.META.get("HTTP_AUTHORIZATION", "")
        if header[: len(_SCHEME)].lower() != _SCHEME:
            return None
        match = _HEADER.fullmatch(header)
        if match is None:
            raise AuthenticationFailed(_("The Authorization header is malformed."))
        now = server_now()
        try:
            principal = self.resolve(match[1], now=now)
        except Unauthenticated as error:
            raise AuthenticationFailed(error.message) from error
        if principal.token_id is not None:
            services.record_token_use(token_id=principal.token_id, now=now)
        if principal.acceptance is not None:
            request.META[CALLER] = AcceptedCaller(principal.acceptance, principal.token_id)
        return principal, None

    def resolve(self, text: str, *, now: datetime) -> Principal:
        """Return the caller with this token. Raises as :func:`apps.auth.selectors.resolve_bearer` does."""
        return selectors.resolve_bearer(text, now=now)

    def authenticate_header(self, request: Request) -> str:
        """Return the ``WWW-Authenticate`` header of a 401 response; without it DRF sends 403."""
        return AUTHENTICATE_HEADER
