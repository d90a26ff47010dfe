"""Who may use an address: any valid token, or admins only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

if TYPE_CHECKING:
    from rest_framework.views import APIView


class IsReader(BasePermission):
    """Any valid token."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Allow every authenticated caller."""
        return bool(getattr(request.user, "is_authenticated", False))


class IsAdmin(IsReader):
    """A staff user, or an API token with scope admin."""

    message = _("Only an admin may do this.")

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Allow admins."""
        return super().has_permission(request, view) and bool(getattr(request.user, "is_staff", False))
