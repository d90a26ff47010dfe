"""Reads of this app: the caller of a token, and the list of API tokens."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Any

from bson import ObjectId
from django.contrib.auth.models import User
from django.utils.translation import gettext as _

from apps.auth.choices import CredentialKind, TokenScope
from apps.auth.errors import Unauthenticated
from apps.auth.models import ApiToken
from apps.auth.principal import Principal
from apps.auth.tokens.caller_cache import (
    Acceptance,
    CallerState,
    CallerUnknownError,
    known_callers,
    token_key,
    user_key,
)
from apps.auth.tokens.credentials import decode_login, hash_api_token, is_api_token
from apps.core.api.pagination import DEFAULT_LIMIT, Page, newest_first
from apps.core.errors import InvalidInput, NotFound, mongo_unavailable
from apps.core.printable import list_text
from apps.core.storage.mongo import collection_of

PASSWORD_MARK_LENGTH = 12
_MAX_SAME_NAME = 10


def list_tokens(*, cursor: str | None = None, limit: int = DEFAULT_LIMIT) -> Page:
    """Return one page of tokens, newest first, revoked and expired ones too; never their hashes.

    :raises InvalidInput: when the cursor is not valid.
    """
    page = newest_first(
        collection_of(ApiToken),
        {},
        by="created_at",
        cursor=cursor,
        limit=limit,
        projection={"token_hash": 0},
    )
    return Page([_token_row(document) for document in page.rows], page.next_cursor)


def find_token(text: str) -> dict[str, Any]:
    """Return the token with this id, else the one of this name that is not revoked; never its hash.

    :raises NotFound: when there is none.
    :raises InvalidInput: when several tokens have this name.
    """
    tokens = collection_of(ApiToken)
    if ObjectId.is_valid(text) and (found := tokens.find_one({"_id": ObjectId(text)}, {"token_hash": 0})):
        return _token_row(found)
    named = list(tokens.find({"label": text, "revoked_at": None}, {"token_hash": 0}).limit(_MAX_SAME_NAME))
    if not named:
        raise NotFound(_("There is no such token."))
    if len(named) > 1:
        message = _("Several tokens have this name. Use an id: %(ids)s.")
        raise InvalidInput(message % {"ids": list_text(one["_id"] for one in named)})
    return _token_row(named[0])


def resolve_bearer(text: str, *, now: datetime) -> Principal:
    """Return the caller with this token.

    :raises Unauthenticated: when it is unknown, malformed, expired or revoked, or its user may not log in.
    :raises DependencyUnavailable: when MongoDB does not respond and the token is not cached.
    """
    principal = resolve_token(text, now=now) if is_api_token(text) else resolve_login(text, now=now)
    if principal is None:
        raise Unauthenticated(_("The token is not valid."))
    return principal


def resolve_token(text: str, *, now: datetime) -> Principal | None:
    """Return the principal of an API token, or None when it is not valid.

    :raises DependencyUnavailable: when MongoDB does not respond and the token is not cached.
    """
    token_hash = hash_api_token(text)
    key, load = token_key(token_hash), partial(load_token_state, token_hash)
    try:
        state = known_callers.look_up(key, load)
    except CallerUnknownError as error:
        raise mongo_unavailable() from error
    if state is None or not state.is_enabled or state.expires_at is None or state.expires_at <= now:
        return None
    return Principal(
        username=state.name,
        scope=state.scope,
        kind=CredentialKind.TOKEN,
        expires_at=state.expires_at,
        token_id=state.id,
        has_all_permissions=state.has_all_permissions,
        acceptance=Acceptance(key, load, state=state, expires_at=state.expires_at),
    )


def resolve_login(text: str, *, now: datetime) -> Principal | None:
    """Return the principal of a login token, or None when it is not valid.

    Its user must still exist, be active and have the same password as at the login. When MongoDB does not
    answer and the user is not cached, the claims are trusted: they are signed and expire soon. They hold
    no permissions.
    """
    claims = decode_login(text, now=now)
    if claims is None:
        return None
    key, load = user_key(claims.user_id), partial(load_user_state, claims.user_id)
    try:
        state = known_callers.look_up(key, load)
    except CallerUnknownError:
        return Principal(
            username=claims.username,
            scope=claims.scope,
            kind=CredentialKind.LOGIN,
            expires_at=claims.expires_at,
            permissions=None,
        )
    if state is None or not state.is_enabled or not state.has_password_mark(claims.password_mark):
        return None
    return Principal(
        username=state.name,
        scope=state.scope,
        kind=CredentialKind.LOGIN,
        expires_at=claims.expires_at,
        permissions=frozenset(state.permissions),
        has_all_permissions=state.has_all_permissions,
        acceptance=Acceptance(key, load, state=state, expires_at=claims.expires_at),
    )


def load_token_state(token_hash: str) -> CallerState | None:
    """Read the state of an API token from MongoDB; None when there is no such token."""
    row = (
        ApiToken.objects.filter(token_hash=token_hash)
        .values("id", "label", "scope", "expires_at", "revoked_at")
        .first()
    )
    if row is None:
        return None
    return CallerState(
        id=str(row["id"]),
        name=row["label"],
        scope=TokenScope(row["scope"]),
        is_enabled=row["revoked_at"] is None,
        expires_at=row["expires_at"],
        has_all_permissions=row["scope"] == TokenScope.ADMIN,
    )


def load_user_state(user_id: str) -> CallerState | None:
    """Read the state of a user from MongoDB; None when there is no such user."""
    if not ObjectId.is_valid(user_id):
        return None
    user = User.objects.filter(pk=user_id).first()
    if user is None:
        return None
    return CallerState(
        id=user_id,
        name=user.get_username(),
        scope=scope_of(user),
        is_enabled=user.is_active,
        password_mark=password_mark_of(user),
        previous_password_marks=tuple(
            mark[:PASSWORD_MARK_LENGTH] for mark in user.get_session_auth_fallback_hash()
        ),
        permissions=() if user.is_superuser else tuple(sorted(user.get_all_permissions())),
        has_all_permissions=user.is_superuser,
    )


def scope_of(user: User) -> TokenScope:
    """Return what a login of this user may do."""
    return TokenScope.ADMIN if user.is_staff else TokenScope.READER


def password_mark_of(user: User) -> str:
    """Return a short keyed mark of the user's password hash, which changes whenever the password does."""
    return user.get_session_auth_hash()[:PASSWORD_MARK_LENGTH]


def _token_row(document: dict[str, Any]) -> dict[str, Any]:
    row = {
        # PyMongo gives instants as naive UTC.
        name: value.replace(tzinfo=UTC) if isinstance(value, datetime) else value
        for name, value in document.items()
    }
    return row | {"id": str(row.pop("_id")), "revoked": row.pop("revoked_at") is not None}
