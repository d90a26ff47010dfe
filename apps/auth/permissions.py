"""The permission classes of the API: any valid token, or admins only.

Every admin may read. In ``changes`` a view declares the Django permissions that each of its methods needs;
they are those that the Django admin needs for the same change. An undeclared change needs a superuser.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from django.utils.translation import gettext_lazy as _
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from apps.core.errors import mongo_unavailable

if TYPE_CHECKING:
    from rest_framework.views import APIView

    from apps.auth.principal import Principal

# Django's permissions have a dot in their names, so only a caller with all permissions has this one.
SUPERUSER = "superuser"


class Needs:
    """The permissions that a change needs; those of ``of_field`` only if that field is not false."""

    def __init__(self, *permissions: str, **of_field: str) -> None:
        self._permissions = permissions
        self._of_field = of_field

    @property
    def every(self) -> tuple[str, ...]:
        """The permissions that the change needs at most, with those of its fields."""
        return (*self._permissions, *self._of_field.values())

    def of(self, request: Request) -> set[str]:
        """Return the permissions that this request needs."""
        needed = set(self._permissions)
        if self._of_field and isinstance(body := request.data, Mapping):
            # The body is not validated yet: a value other than false may be read as true later.
            needed |= {one for name, one in self._of_field.items() if body.get(name, False) is not False}
        return needed


TO_CREATE_TOKENS = Needs("collector_auth.add_apitoken")


class IsReader(BasePermission):
    """Any valid token."""

    @classmethod
    def refuses_callers(cls, method: str) -> bool:
        """Whether a request with this method and a valid token may be refused."""
        return False

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Allow every authenticated caller."""
        return bool(getattr(request.user, "is_authenticated", False))


class IsAdmin(IsReader):
    """A staff user, who may change what its Django permissions allow, or an API token with scope admin."""

    message = _("Only an admin may do this.")

    @classmethod
    def refuses_callers(cls, method: str) -> bool:
        """Refuse those who are no admins, or lack the permissions of a change."""
        return True

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Allow admins to read, and to change what their permissions allow."""
        if not super().has_permission(request, view) or not getattr(request.user, "is_staff", False):
            return False
        if request.method in SAFE_METHODS:
            return True
        self.message = _("You have no permission for this.")
        return _may_change(request, view)


class IsAdminToChange(IsAdmin):
    """Any valid token may read; a change needs what :class:`IsAdmin` needs."""

    @classmethod
    def refuses_callers(cls, method: str) -> bool:
        """Refuse changes only."""
        return method not in SAFE_METHODS

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Allow every authenticated caller to read."""
        if request.method in SAFE_METHODS:
            return IsReader.has_permission(self, request, view)
        return super().has_permission(request, view)


def _may_change(request: Request, view: APIView) -> bool:
    action = getattr(view, "action", str(request.method).lower())
    if action is None:
        return True  # the address has no such method: the response is 405
    declared: Mapping[str, Needs] = getattr(view, "changes", {})
    needed = declared.get(action, Needs(SUPERUSER)).of(request)
    principal = cast("Principal", request.user)
    if needed and principal.permissions is None:
        raise mongo_unavailable()
    return principal.has_permissions(needed)
