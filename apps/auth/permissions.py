"""Who may use an address: any valid token, or admins only; and what an admin needs to change something.

Every admin may look. For a change a view declares in ``changes``, by the name of its method, the Django
permissions that the admin asks for the same change; what is not declared takes a superuser.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from apps.core.errors import DependencyUnavailable

if TYPE_CHECKING:
    from rest_framework.views import APIView

    from apps.auth.principal import Principal

# No permission of Django has a name without a dot, so only who has all of them has this one.
SUPERUSER = "superuser"


class Needs:
    """The permissions of one change; those named after a field of the body only where it is not false."""

    def __init__(self, *permissions: str, **of_field: str) -> None:
        self._permissions = permissions
        self._of_field = of_field

    def of(self, request: Request) -> set[str]:
        """Return what this request needs."""
        needed = set(self._permissions)
        if self._of_field and isinstance(body := request.data, Mapping):
            # Nobody else has read the body yet: whatever is not plainly false may turn out to be true.
            needed |= {one for name, one in self._of_field.items() if body.get(name, False) is not False}
        return needed


class IsReader(BasePermission):
    """Any valid token."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Allow every authenticated caller."""
        return bool(getattr(request.user, "is_authenticated", False))


class IsAdmin(IsReader):
    """A staff user, who changes what its Django permissions allow, or an API token with scope admin."""

    message = _("Only an admin may do this.")

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Allow admins what changes nothing, and changes to those who may make them."""
        if not super().has_permission(request, view) or not getattr(request.user, "is_staff", False):
            return False
        if request.method in SAFE_METHODS:
            return True
        self.message = _("You have no permission for this.")
        return _may_change(request, view)


class IsAdminToChange(IsAdmin):
    """Any valid token to look; to change something, as :class:`IsAdmin`."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Allow readers what changes nothing."""
        if request.method in SAFE_METHODS:
            return IsReader.has_permission(self, request, view)
        return super().has_permission(request, view)


def _may_change(request: Request, view: APIView) -> bool:
    action = getattr(view, "action", str(request.method).lower())
    if action is None:
        return True  # the address has no such method, and answers so
    declared: Mapping[str, Needs] = getattr(view, "changes", {})
    needed = declared.get(action, Needs(SUPERUSER)).of(request)
    principal = cast("Principal", request.user)
    if needed and principal.permissions is None:
        raise DependencyUnavailable(
            _now("The database does not answer. Try again shortly."), detail="MongoDB"
        )
    return principal.has_permissions(needed)
