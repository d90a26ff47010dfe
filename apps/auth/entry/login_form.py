"""The login form of the admin, with the same limits and the same audit log as the login of the API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from apps.auth import services
from apps.auth.errors import Unauthenticated
from apps.core.errors import DomainError, InvalidInput

if TYPE_CHECKING:
    from django.contrib.admin.forms import AdminAuthenticationForm as AuthenticationForm
else:
    from unfold.forms import AuthenticationForm


class LoginForm(AuthenticationForm):
    """Checks a login with ``services.check_credentials``.

    ``refusal`` is the error that prevented the check, such as too many attempts; otherwise None.
    """

    refusal: DomainError | None = None

    def clean(self) -> dict[str, Any]:
        """Check the username and the password."""
        username, password = self.cleaned_data.get("username"), self.cleaned_data.get("password")
        address = self.request.META.get("REMOTE_ADDR", "") if self.request is not None else ""
        if not settings.ADMIN_PASSWORD_LOGIN:
            services.log_invalid_login(address=address)
            raise ValidationError(_("Passwords are not accepted here."))
        if username is None or not password:
            services.log_invalid_login(address=address)
            return self.cleaned_data
        try:
            user = services.check_credentials(username=username, password=password, address=address)
        except (Unauthenticated, InvalidInput):
            raise self.get_invalid_login_error() from None
        except DomainError as error:
            self.refusal = error
            raise ValidationError(error.message) from None
        self.confirm_login_allowed(user)
        self.user_cache = user
        return self.cleaned_data
