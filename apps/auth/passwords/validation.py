"""The rules for usernames, passwords and token labels; no message contains the checked value."""

from __future__ import annotations

import unicodedata

from django.utils.translation import gettext as _

from apps.core.errors import InvalidInput
from apps.core.printable import has_unprintable

USERNAME_MAX_LENGTH = 150
# Longer than the passwords of password managers. Without a limit, a client could make us hash megabytes.
PASSWORD_MAX_LENGTH = 1024
LABEL_MIN_LENGTH = 2
LABEL_MAX_LENGTH = 50
EXPIRES_HOURS_MIN = 1
EXPIRES_HOURS_MAX = 8760
EXPIRES_HOURS_DEFAULT = 720


def clean_username(text: str) -> str:
    """Return the username as Django stores it.

    :raises InvalidInput: when no user can have such a name.
    """
    if has_unprintable(text):  # before the trimming, which would remove some
        raise _invalid("username", _("This text has characters that are not allowed."))
    username = unicodedata.normalize("NFKC", text.strip()) if len(text) <= USERNAME_MAX_LENGTH else ""
    if not 1 <= len(username) <= USERNAME_MAX_LENGTH:
        raise _invalid("username", _("Must have 1 to %(max)d characters.") % {"max": USERNAME_MAX_LENGTH})
    return username


def check_password_form(text: str) -> None:
    """Refuse a text that cannot be a password before it is hashed.

    :raises InvalidInput: when it is empty, too long or cannot be encoded.
    """
    if not 1 <= len(text) <= PASSWORD_MAX_LENGTH:
        raise _invalid("password", _("Must have 1 to %(max)d characters.") % {"max": PASSWORD_MAX_LENGTH})
    if "\0" in text or any(unicodedata.category(character) == "Cs" for character in text):
        raise _invalid("password", _("This text has characters that are not allowed."))


def clean_label(text: str) -> str:
    """Return the label of a token without spaces around it.

    :raises InvalidInput: when it is too short, too long or holds control characters.
    """
    if has_unprintable(text):  # before the trimming, which would remove some
        raise _invalid("label", _("This text has characters that are not allowed."))
    label = text.strip()
    if not LABEL_MIN_LENGTH <= len(label) <= LABEL_MAX_LENGTH:
        bounds = {"min": LABEL_MIN_LENGTH, "max": LABEL_MAX_LENGTH}
        raise _invalid("label", _("Must have %(min)d to %(max)d characters.") % bounds)
    return label


def check_expires_hours(hours: int) -> None:
    """Refuse a lifetime out of bounds.

    :raises InvalidInput: when it is not a whole number of hours from one to a year.
    """
    if isinstance(hours, bool) or not EXPIRES_HOURS_MIN <= hours <= EXPIRES_HOURS_MAX:
        bounds = {"min": EXPIRES_HOURS_MIN, "max": EXPIRES_HOURS_MAX}
        raise _invalid("expires_hours", _("Must be a whole number from %(min)d to %(max)d.") % bounds)


def printable(text: str) -> str:
    """Return the text for a log line: bounded, without anything that could forge another line."""
    shown = text[:USERNAME_MAX_LENGTH]
    return "".join("\ufffd" if has_unprintable(character) else character for character in shown)


def _invalid(field: str, message: str) -> InvalidInput:
    return InvalidInput(_("The input is not valid."), fields={field: [message]})
