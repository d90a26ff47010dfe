"""The text of credentials: random API tokens and signed login tokens; nothing here reads a database."""

from __future__ import annotations

import contextlib
import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.conf import settings

from apps.auth.choices import CredentialKind, TokenScope
from apps.core.unwanted import unwanted

# It is for algorithms that our tokens do not use; logins by an OpenID provider load it by themselves.
with unwanted("cryptography", error=ModuleNotFoundError):
    import jwt
    from jwt.types import Options
    from jwt.utils import base64url_decode, base64url_encode

API_TOKEN_PREFIX = "mlc_"  # noqa: S105 - a prefix that lets log filters and secret scanners find tokens
_API_TOKEN = re.compile(r"mlc_[A-Za-z0-9_-]{43}")
_SIGNED_TOKEN = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_ALGORITHM = "HS256"
# The expiry is compared with `now`, which is the same on all hosts; PyJWT compares with this host's clock.
_UNCHECKED: Options = {"verify_exp": False, "verify_iat": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginClaims:
    """The signed claims of a login token."""

    user_id: str
    username: str
    scope: TokenScope
    password_mark: str
    expires_at: datetime


def new_api_token() -> str:
    """Return the text of a new API token, with 256 random bits."""
    return API_TOKEN_PREFIX + secrets.token_urlsafe(32)


def is_api_token(text: str) -> bool:
    """Tell whether a text has the form of an API token."""
    return _API_TOKEN.fullmatch(text) is not None


def hash_api_token(text: str) -> str:
    """Return the hash of a token, which is what is stored. Tokens are random, so it needs no salt."""
    return hashlib.sha256(text.encode()).hexdigest()


def encode_login(claims: LoginClaims, *, now: datetime) -> str:
    """Return the signed text of a login token."""
    return jwt.encode(
        {
            "sub": claims.user_id,
            "username": claims.username,
            "scope": claims.scope.value,
            "kind": CredentialKind.LOGIN.value,
            "pwd": claims.password_mark,
            "jti": secrets.token_hex(16),
            "iat": int(now.timestamp()),
            "exp": int(claims.expires_at.timestamp()),
        },
        settings.JWT_SECRET,
        algorithm=_ALGORITHM,
    )


def decode_login(text: str, *, now: datetime) -> LoginClaims | None:
    """Return the claims of a login token, or None when it is forged, malformed or expired."""
    if _SIGNED_TOKEN.fullmatch(text) is None:
        return None
    try:
        payload = _decode(text)
        if payload["kind"] != CredentialKind.LOGIN.value:
            return None
        claims = LoginClaims(
            user_id=str(payload["sub"]),
            username=str(payload["username"]),
            scope=TokenScope(payload["scope"]),
            password_mark=str(payload["pwd"]),
            expires_at=datetime.fromtimestamp(payload["exp"], UTC),
        )
    except (jwt.InvalidTokenError, KeyError, TypeError, ValueError, OverflowError, OSError):
        return None
    return claims if claims.expires_at > now else None


def read_former_token(text: str) -> str | None:
    """Return the owner that a permanent token of the former program names, or None when it is none.

    It is a JWT without ``exp``, signed with JWT_SECRET, that names its ``label`` or ``sub``. The text is what
    is hashed, so another spelling of the same signature is refused.
    """
    if _SIGNED_TOKEN.fullmatch(text) is None:
        return None
    signature = text.rpartition(".")[2]
    try:
        if base64url_encode(base64url_decode(signature)).decode() != signature:
            return None
        payload = _decode(text)
    except (jwt.InvalidTokenError, TypeError, ValueError, OverflowError):
        return None
    owner = payload.get("label") or payload.get("sub")
    return owner if "exp" not in payload and isinstance(owner, str) else None


def _decode(text: str) -> dict[str, Any]:
    """Return the payload of a token that JWT_SECRET, or one of JWT_SECRET_PREVIOUS, has signed.

    :raises jwt.InvalidTokenError: when none of them has, or it is malformed.
    """
    *others, last = (settings.JWT_SECRET, *settings.JWT_SECRET_PREVIOUS)
    for key in others:
        with contextlib.suppress(jwt.InvalidSignatureError):
            return jwt.decode(text, key, algorithms=[_ALGORITHM], options=_UNCHECKED)
    return jwt.decode(text, last, algorithms=[_ALGORITHM], options=_UNCHECKED)
