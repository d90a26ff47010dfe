"""Logins, API tokens and the first admin; each of these is written to the audit log."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import pymongo
import structlog
from bson import ObjectId
from cachetools import TTLCache
from django.conf import settings
from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.db import Error as DatabaseError
from django.db import IntegrityError
from django.db.models import Q
from django.utils.translation import gettext as _
from pymongo.errors import PyMongoError

from apps.auth.choices import CredentialKind, LoginOutcome, TokenScope
from apps.auth.errors import Unauthenticated
from apps.auth.models import ApiToken
from apps.auth.passwords import validation
from apps.auth.passwords.hashing_limit import HashingBusy, process_hashing_limit
from apps.auth.passwords.throttle import count_login_attempt
from apps.auth.principal import Principal
from apps.auth.selectors import load_token_state, password_mark_of, scope_of
from apps.auth.tokens.caller_cache import (
    MAX_CALLERS,
    CallerState,
    CallerUnknownError,
    known_callers,
    token_key,
)
from apps.auth.tokens.credentials import (
    LoginClaims,
    encode_login,
    hash_api_token,
    new_api_token,
    read_former_token,
)
from apps.core import process_state
from apps.core.errors import (
    DependencyUnavailable,
    DomainError,
    InvalidInput,
    NotFound,
    RateLimited,
    mongo_unavailable,
)
from apps.core.storage.clock import server_now
from apps.core.storage.outages import is_mongo_outage, mongo_outage

audit = structlog.get_logger("collector.audit")
logger = structlog.get_logger(__name__)

USE_STORED_EVERY_SECONDS = 60
FORMER_PROGRAM = "former program"  # stored as the creator of its tokens
_OUTCOME_OF_ERROR: dict[type[DomainError], LoginOutcome] = {
    InvalidInput: LoginOutcome.INVALID,
    Unauthenticated: LoginOutcome.REFUSED,
    RateLimited: LoginOutcome.THROTTLED,
    HashingBusy: LoginOutcome.BUSY,
    DependencyUnavailable: LoginOutcome.UNAVAILABLE,
}

_recent_uses: TTLCache[str, bool] = TTLCache(MAX_CALLERS, USE_STORED_EVERY_SECONDS)
_recent_uses_lock = threading.Lock()
process_state.register(_recent_uses.clear)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginResult:
    """A login token, its user and when it expires."""

    token: str
    username: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedToken:
    """A new API token; its text is not stored, so it can be shown only now."""

    token: str
    id: str
    label: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokedToken:
    """A revoked token; ``was_active`` is false when it had been revoked before."""

    id: str
    revoked: bool
    was_active: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstAdmin:
    """The admin that the settings name; ``is_admin`` is false when that user is not an active admin."""

    username: str
    created: bool
    is_admin: bool


def log_in(*, username: str, password: str, address: str) -> LoginResult:
    """Check a username and password and return a signed login token.

    :raises InvalidInput: when no user can have such a username or password.
    :raises RateLimited: when the address or the user has no attempt left, or too many log in at once.
    :raises Unauthenticated: when they do not match; the error does not say which one is wrong.
    :raises DependencyUnavailable: when MongoDB does not respond.
    """
    user = check_credentials(username=username, password=password, address=address)
    now = server_now()
    expires_at = now.replace(microsecond=0) + timedelta(hours=settings.JWT_EXPIRE_HOURS)
    claims = LoginClaims(
        user_id=str(user.pk),
        username=user.get_username(),
        scope=scope_of(user),
        password_mark=password_mark_of(user),
        expires_at=expires_at,
    )
    return LoginResult(
        token=encode_login(claims, now=now), username=user.get_username(), expires_at=expires_at
    )


def check_credentials(*, username: str, password: str, address: str) -> User:
    """Return the active user with these credentials. Each call is limited and logged as a login.

    Raises the errors of :func:`log_in`.
    """
    outcome = LoginOutcome.FAILED
    tried: str | None = None
    try:
        # An invalid username may be a password in the wrong field, so it is not logged.
        username = tried = validation.clean_username(username)
        validation.check_password_form(password)
        if mongo_outage.is_known:
            # Nothing can be checked, so this is not counted as an attempt and does not hold a web thread.
            raise mongo_unavailable()
        count_login_attempt(username=username, address=address)
        with process_hashing_limit().claim():
            user = _authenticate(username=username, password=password)
        if user is None:
            raise Unauthenticated(_("Wrong username or password."))
        outcome = LoginOutcome.ACCEPTED
    except DomainError as error:
        outcome = _OUTCOME_OF_ERROR.get(type(error), LoginOutcome.FAILED)
        raise
    finally:
        _audit_login(tried, address=address, outcome=outcome)
    return user


def log_invalid_login(*, address: str) -> None:
    """Write a login request without a readable username and password to the audit log."""
    _audit_login(None, address=address, outcome=LoginOutcome.INVALID)


def create_token(
    *,
    label: str,
    created_by: str,
    expires_hours: int = validation.EXPIRES_HOURS_DEFAULT,
    scope: str = TokenScope.READER,
) -> CreatedToken:
    """Create an API token and return its text, which is not stored.

    :raises InvalidInput: when label, lifetime or scope is out of bounds.
    """
    label = validation.clean_label(label)
    validation.check_expires_hours(expires_hours)
    if scope not in TokenScope.values:
        raise InvalidInput(
            _("The input is not valid."), fields={"scope": [_("Must be one of: reader, admin.")]}
        )
    text = new_api_token()
    now = server_now().replace(microsecond=0)
    token = ApiToken.objects.create(
        token_hash=hash_api_token(text),
        label=label,
        scope=scope,
        created_at=now,
        expires_at=now + timedelta(hours=expires_hours),
        created_by=created_by,
    )
    audit.info(
        "token_created",
        id=str(token.pk),
        label=label,
        scope=scope,
        expires_at=token.expires_at.isoformat(),
        created_by=validation.printable(created_by),
    )
    return CreatedToken(token=text, id=str(token.pk), label=label, expires_at=token.expires_at)


def revoke_token(*, token_id: str, revoked_by: str) -> RevokedToken:
    """Revoke a token; every process refuses it within a second. Revoking it twice is harmless.

    :raises NotFound: when there is no such token.
    """
    token = ApiToken.objects.filter(pk=token_id).first() if ObjectId.is_valid(token_id) else None
    if token is None:
        raise NotFound(_("There is no such token."))
    was_active = (
        ApiToken.objects.filter(pk=token.pk, revoked_at__isnull=True).update(revoked_at=server_now()) == 1
    )
    # Repeated when the token was revoked before: that call may have failed here, after its write.
    known_callers.mark_revoked(token_key(token.token_hash))
    if was_active:
        audit.info(
            "token_revoked", id=str(token.pk), label=token.label, revoked_by=validation.printable(revoked_by)
        )
    return RevokedToken(id=str(token.pk), revoked=True, was_active=was_active)


def resolve_former_token(text: str, *, now: datetime, until: datetime) -> Principal | None:
    """Return the reader with this permanent token of the former program, or None when it is not valid.

    At its first use it is stored among the API tokens, with the end ``until``: so it is listed, and can be
    revoked. Callers decide at which addresses it counts.

    :raises DependencyUnavailable: when MongoDB does not respond and the token is not cached.
    """
    owner = read_former_token(text)
    if owner is None or now >= until:
        return None
    token_hash = hash_api_token(text)
    try:
        state = known_callers.look_up(
            token_key(token_hash), partial(_load_former_token, token_hash, owner=owner, now=now, until=until)
        )
    except CallerUnknownError as error:
        raise mongo_unavailable() from error
    if state is None or not state.is_enabled:
        return None
    return Principal(
        username=state.name,
        scope=TokenScope.READER,
        kind=CredentialKind.TOKEN,
        expires_at=until,
        token_id=state.id,
    )


def _load_former_token(token_hash: str, *, owner: str, now: datetime, until: datetime) -> CallerState | None:
    """Read the state of a token of the former program; store it if it is new, or if its end has changed."""
    state = load_token_state(token_hash)
    if state is not None:
        if state.expires_at != until:
            ApiToken.objects.filter(token_hash=token_hash).update(expires_at=until)
        return state
    label = validation.printable(owner)[: validation.LABEL_MAX_LENGTH]
    try:
        token = ApiToken.objects.create(
            token_hash=token_hash,
            label=label,
            scope=TokenScope.READER,
            created_at=now.replace(microsecond=0),
            expires_at=until,
            created_by=FORMER_PROGRAM,
        )
    except IntegrityError:  # another process has just stored it
        return load_token_state(token_hash)
    audit.info("former_token_accepted", id=str(token.pk), label=label, expires_at=until.isoformat())
    return load_token_state(token_hash)


def record_token_use(*, token_id: str, now: datetime) -> None:
    """Store when a token was last used, at most once a minute; a failure is logged and not raised."""
    with _recent_uses_lock:
        if token_id in _recent_uses or mongo_outage.is_known:
            return
        _recent_uses[token_id] = True
    a_minute_ago = now - timedelta(seconds=USE_STORED_EVERY_SECONDS)
    try:
        with pymongo.timeout(settings.AUTH_TIMEOUT_SECONDS):
            ApiToken.objects.filter(
                Q(last_used_at__isnull=True) | Q(last_used_at__lte=a_minute_ago), pk=token_id
            ).update(last_used_at=now)
    except (DatabaseError, PyMongoError) as error:
        logger.warning("token_use_not_recorded", error=type(error).__name__)


def ensure_admin() -> FirstAdmin:
    """Create the admin from ADMIN_USERNAME and ADMIN_PASSWORD; an existing user is not changed.

    :raises InvalidInput: when ADMIN_PASSWORD is not set, or the username or the password is not valid.
    """
    if not settings.ADMIN_PASSWORD:
        raise InvalidInput(_("ADMIN_PASSWORD is not set, so no admin user can be created."))
    username = validation.clean_username(settings.ADMIN_USERNAME)
    validation.check_password_form(settings.ADMIN_PASSWORD)
    user = User.objects.filter(username=username).first()
    created = False
    if user is None:
        try:
            user = User.objects.create_superuser(username=username, password=settings.ADMIN_PASSWORD)
            created = True
        except IntegrityError:  # another process has just created it
            user = User.objects.get(username=username)
    if created:
        audit.info("admin_created", username=validation.printable(username))
    return FirstAdmin(username=username, created=created, is_admin=user.is_active and user.is_staff)


def _audit_login(username: str | None, *, address: str, outcome: LoginOutcome) -> None:
    audit.info(
        "login",
        username=username and validation.printable(username),
        address=validation.printable(address),
        outcome=outcome.value,
    )


def _authenticate(*, username: str, password: str) -> User | None:
    """Return the user, or None. Django hashes for unknown users, too, so both failures take equally long."""
    try:
        user = authenticate(username=username, password=password)
    except (DatabaseError, PyMongoError) as error:
        if not is_mongo_outage(error):
            raise
        raise mongo_unavailable() from error
    return user if isinstance(user, User) else None
