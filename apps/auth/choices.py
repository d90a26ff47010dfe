"""The choices of this app."""

from __future__ import annotations

from enum import StrEnum

from django.db import models
from django.utils.translation import gettext_lazy as _


class TokenScope(models.TextChoices):
    """What a caller with a token may do."""

    READER = "reader", _("Reader")
    ADMIN = "admin", _("Admin")


class CredentialKind(models.TextChoices):
    """How the caller got its token."""

    LOGIN = "login", _("Login")
    TOKEN = "token", _("API token")


class LoginOutcome(StrEnum):
    """How a login ended; the values are written to the audit log."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    INVALID = "invalid"  # not checked: no user can have such a username or password
    THROTTLED = "throttled"
    BUSY = "busy"
    UNAVAILABLE = "unavailable"
    FAILED = "failed"
