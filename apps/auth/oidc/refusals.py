"""Why a login by the provider was refused, in words for the person and for the log."""

from __future__ import annotations

from enum import StrEnum

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class Reason(StrEnum):
    """The reason; the values are written to the audit log."""

    DENIED = "denied"
    EXPIRED = "expired"
    UNAVAILABLE = "unavailable"
    INVALID_ANSWER = "invalid_answer"
    UNVERIFIED_MAIL = "unverified_mail"
    NO_ROLE = "no_role"
    UNKNOWN_USER = "unknown_user"
    DISABLED = "disabled"


TEXTS: dict[Reason, str | Promise] = {
    Reason.DENIED: _("The login service has refused the login."),
    Reason.EXPIRED: _("The login has expired, or was started in another window. Try again."),
    Reason.UNAVAILABLE: _("The login service does not respond. Try again later."),
    Reason.INVALID_ANSWER: _("The login service has sent an invalid response. Ask an administrator."),
    Reason.UNVERIFIED_MAIL: _("The login service has not verified your email address yet."),
    Reason.NO_ROLE: _("None of your groups has access. Ask an administrator for access."),
    Reason.UNKNOWN_USER: _("You have no account here. Ask an administrator for access."),
    Reason.DISABLED: _("Your account is disabled. Ask an administrator for access."),
}


class LoginRefusedError(Exception):
    """A login that did not succeed; ``detail`` is for the log and holds nothing secret."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(reason.value)
        self.reason = reason
        self.detail = detail

    @property
    def text(self) -> str:
        """The reason for the person."""
        return str(TEXTS[self.reason])
