"""API tokens, users and groups in the Django admin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from apps.auth import services
from apps.auth.models import ApiToken
from apps.core.admin_base.model_admin import CollectorModelAdmin, ReadOnlyAdmin
from apps.core.admin_base.rights import is_superuser, name_of_user

if TYPE_CHECKING:
    from django.contrib.auth.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
else:
    from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

admin.site.unregister(User)
admin.site.unregister(Group)

# What decides how far a user's rights go; only a superuser may touch it.
_RIGHTS = ("is_staff", "is_superuser", "groups", "user_permissions")


@admin.register(ApiToken)
class ApiTokenAdmin(ReadOnlyAdmin[ApiToken]):
    """Read-only, because a token's text can only be shown by the call that creates it."""

    list_display = ("label", "scope", "created_by", "created_at", "expires_at", "last_used_at", "revoked_at")
    list_filter = ("scope",)
    search_fields = ("label", "created_by")
    fields = list_display
    readonly_fields = list_display
    ordering = ("-created_at", "-id")
    actions = ("revoke",)

    @admin.action(description=_("Revoke the selected tokens"), permissions=["operate"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> None:
        """Refuse the selected tokens everywhere within a second."""
        revoked_by = name_of_user(request)
        results = [services.revoke_token(token_id=str(token.pk), revoked_by=revoked_by) for token in queryset]
        count = sum(result.was_active for result in results)
        message = ngettext("%(count)d token was revoked.", "%(count)d tokens were revoked.", count)
        self.message_user(request, message % {"count": count}, messages.SUCCESS)


@admin.register(User)
class UserAdmin(DjangoUserAdmin, CollectorModelAdmin[User]):  # type: ignore[type-arg]
    """Who may log in. Users are switched off, never deleted: the history log refers to them."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    readonly_fields = ("last_login", "date_joined")
    list_filter = ("is_staff", "is_superuser", "is_active")

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        """Keep users from giving themselves more rights than they have."""
        fixed = tuple(super().get_readonly_fields(request, obj))
        return fixed if is_superuser(request) else fixed + _RIGHTS

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Keep superusers, their passwords too, to themselves."""
        is_out_of_reach = obj is not None and obj.is_superuser and not is_superuser(request)
        return not is_out_of_reach and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Refuse: deleting a user would delete the history of what it did."""
        return False


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, CollectorModelAdmin[Group]):
    """Rights that several users share; superusers alone change them."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Allow superusers."""
        return is_superuser(request)

    def has_change_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        """Allow superusers."""
        return is_superuser(request)

    def has_delete_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        """Allow superusers."""
        return is_superuser(request)
