"""The closed sets of words of this app."""

from __future__ import annotations

from enum import StrEnum

from django.db import models
from django.utils.translation import gettext_lazy as _


class TokenScope(models.TextChoices):
    """What the bearer of a token may do."""

    READER = "reader", _("Reader")
    ADMIN = "admin", _("Admin")


class CredentialKind(models.TextChoices):
    """How the bearer got its token."""

    LOGIN = "login", _("Login")
    TOKEN = "token", _("API token")


class LoginOutcome(StrEnum):
    """How a login ended, as the audit log spells it."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    INVALID = "invalid"  # nothing was checked: no user can have these
    THROTTLED = "throttled"
    BUSY = "busy"
    UNAVAILABLE = "unavailable"
    FAILED = "failed"
