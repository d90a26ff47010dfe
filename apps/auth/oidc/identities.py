"""The users of the provider: found by issuer and subject alone, with the rights of their groups.

A name or a mail address never leads to a user: whoever could choose one at the provider could take over an
account here. The provider decides about groups, staff status and superuser status of its users; a user that
is deactivated here stays out.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
from collections.abc import Mapping
from typing import Any

import structlog
from django.contrib.auth.models import Group, User
from django.db import IntegrityError
from django.utils.translation import gettext as _

from apps.auth.models import OidcIdentity
from apps.auth.oidc.provider import MAX_SUBJECT_LENGTH
from apps.auth.oidc.refusals import LoginRefusedError, Reason
from apps.auth.oidc.rights import Rights, existing_groups, rights_of
from apps.auth.passwords import validation
from apps.core.errors import Conflict, InvalidInput, NotFound
from apps.core.printable import has_unprintable
from apps.core.storage.clock import server_now

audit = structlog.get_logger("collector.audit")

_MARK_LENGTH = 8
_MAX_NAME_LENGTH = 150
_MAX_MAIL_LENGTH = 254


def user_of(claims: Mapping[str, Any], *, may_create: bool) -> User:
    """Return the user with these claims, with the rights that the groups give; created if need be.

    A user who has lost the last group also loses the rights here, so that other logins of it end, too.

    :param claims: verified claims, with ``iss`` and ``sub``.
    :raises LoginRefusedError: when the user has no access.
    """
    # An issuer is configured without the slash that it may have at its end.
    issuer, subject = str(claims["iss"]).rstrip("/"), str(claims["sub"])
    who = f"subject {validation.printable(subject)}"
    rights = _existing(rights_of(claims))
    identity = OidcIdentity.objects.filter(issuer=issuer, subject=subject).select_related("user").first()
    user = identity.user if identity is not None else None
    if user is not None and not user.is_active:
        raise LoginRefusedError(Reason.DISABLED, who)
    if rights is None:
        if user is not None:
            _give(user, Rights(frozenset(), is_superuser=False), is_staff=False)
        raise LoginRefusedError(Reason.NO_ROLE, who)
    if claims.get("email_verified") is False:
        raise LoginRefusedError(Reason.UNVERIFIED_MAIL, who)
    if user is None:
        if not may_create:
            raise LoginRefusedError(Reason.UNKNOWN_USER, who)
        user = _create(issuer, subject, claims)
    _give(user, rights, is_staff=True)
    _keep_names(user, claims)
    OidcIdentity.objects.filter(issuer=issuer, subject=subject).update(last_login_at=server_now())
    return user


def link(*, username: str, issuer: str, subject: str) -> OidcIdentity:
    """Let an existing user log in by the provider.

    :raises NotFound: when there is no such user.
    :raises InvalidInput: when the subject is empty or too long.
    :raises Conflict: when another user has this identity.
    """
    if not 0 < len(subject) <= MAX_SUBJECT_LENGTH or has_unprintable(subject):
        problem = _("Must have 1 to %(max)d characters.") % {"max": MAX_SUBJECT_LENGTH}
        raise InvalidInput(_("The input is not valid."), fields={"subject": [problem]})
    user = User.objects.filter(username=username).first()
    if user is None:
        raise NotFound(_("There is no such user."))
    identity = _claim(issuer, subject, user)
    if identity.user != user:
        raise Conflict(_("Another user has this identity."))
    audit.info("oidc_linked", username=validation.printable(username), subject=validation.printable(subject))
    return identity


def list_identities() -> list[dict[str, Any]]:
    """Return the users of the provider, by name, with their subject, issuer and last login."""
    found = OidcIdentity.objects.select_related("user").order_by("issuer", "subject")
    rows = [
        {
            "username": one.user.get_username(),
            "subject": one.subject,
            "issuer": one.issuer,
            "last_login_at": one.last_login_at,
        }
        for one in found
    ]
    return sorted(rows, key=lambda row: row["username"])


def _existing(rights: Rights | None) -> Rights | None:
    """Return the rights without the groups that do not exist here; None if nothing is left."""
    if rights is None:
        return None
    found = existing_groups(rights.groups)
    if missing := sorted(rights.groups - found):
        audit.error("oidc_groups_missing", groups=missing)
    return Rights(found, rights.is_superuser) if found or rights.is_superuser else None


def _create(issuer: str, subject: str, claims: Mapping[str, Any]) -> User:
    """Create the user of a new identity. Two logins may race here: the first one's user remains."""
    digest = hashlib.sha256(f"{issuer} {subject}".encode("utf-8", "replace")).hexdigest()
    name = _name_from(claims)
    # The name is only for people. If another user has it, ours gets one that says so.
    marked = f"{name[: _MAX_NAME_LENGTH - _MARK_LENGTH - 1]}~{digest[:_MARK_LENGTH]}"
    user = _create_named([name, marked] if name else [marked])
    identity = _claim(issuer, subject, user)
    if identity.user != user:
        user.delete()
        return identity.user
    audit.info("oidc_user_created", username=validation.printable(user.username))
    return user


def _create_named(names: list[str]) -> User:
    """Create a user without a password, with the first of these names that is free, else a random one."""
    for name in names:
        try:
            return User.objects.create_user(name)
        except IntegrityError:
            continue
    return User.objects.create_user(f"oidc~{secrets.token_hex(16)}")


def _claim(issuer: str, subject: str, user: User) -> OidcIdentity:
    """Return the identity, which belongs to the user unless it had one before."""
    try:
        return OidcIdentity.objects.create(issuer=issuer, subject=subject, user=user, created_at=server_now())
    except IntegrityError:
        return OidcIdentity.objects.select_related("user").get(issuer=issuer, subject=subject)


def _give(user: User, rights: Rights, *, is_staff: bool) -> None:
    before = set(user.groups.values_list("name", flat=True))
    user.groups.remove(*Group.objects.filter(name__in=before - rights.groups))
    for group in Group.objects.filter(name__in=rights.groups - before):
        with contextlib.suppress(IntegrityError):  # another login of the same user has just added it
            user.groups.add(group)
    flags = {"is_staff": is_staff, "is_superuser": rights.is_superuser}
    if _save_changed(user, flags) or before != rights.groups:
        audit.info(
            "oidc_rights_changed",
            username=validation.printable(user.username),
            groups=sorted(rights.groups),
            **flags,
        )


def _keep_names(user: User, claims: Mapping[str, Any]) -> None:
    """Keep the names and the verified mail address of the person, as texts for people only."""
    mail = claims.get("email") if claims.get("email_verified") is True else user.email
    wanted = {
        "first_name": _text(claims.get("given_name"), _MAX_NAME_LENGTH),
        "last_name": _text(claims.get("family_name"), _MAX_NAME_LENGTH),
        "email": _text(mail, _MAX_MAIL_LENGTH),
    }
    _save_changed(user, wanted)


def _save_changed(user: User, wanted: Mapping[str, Any]) -> bool:
    """Save the fields whose values differ; returns whether there were any."""
    changed = [name for name, value in wanted.items() if getattr(user, name) != value]
    for name in changed:
        setattr(user, name, wanted[name])
    if changed:
        user.save(update_fields=changed)
    return bool(changed)


def _text(value: object, max_length: int) -> str:
    return validation.printable(value)[:max_length] if isinstance(value, str) else ""


def _name_from(claims: Mapping[str, Any]) -> str:
    """Return the name for a new user, empty if the provider tells none that users may have."""
    for claim in ("preferred_username", "email", "name"):
        try:
            return validation.clean_username(str(claims.get(claim) or ""))
        except InvalidInput:
            continue
    return ""
