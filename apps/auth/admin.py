"""API tokens, users and groups in the Django admin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.contrib.admin.models import ADDITION
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, Permission, User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.cache import add_never_cache_headers
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from apps.auth import services
from apps.auth.choices import TokenScope
from apps.auth.grants import groups_within_rights, is_within_rights
from apps.auth.models import ApiToken
from apps.auth.passwords import validation
from apps.auth.permission_names import PermissionsField
from apps.core.admin_base.display import Coloured, coloured
from apps.core.admin_base.forms import themed
from apps.core.admin_base.history import note_history
from apps.core.admin_base.model_admin import CollectorModelAdmin, ReadOnlyAdmin
from apps.core.admin_base.operations import Operation, OperationsMixin
from apps.core.admin_base.rights import is_superuser, may, name_of_user
from apps.core.errors import Conflict, InvalidInput
from apps.core.storage.clock import server_now
from apps.core.stored_messages import HISTORY, Message

if TYPE_CHECKING:
    from django.contrib.auth.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
else:
    from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

admin.site.unregister(User)
admin.site.unregister(Group)

# Only a superuser may grant these; a group and the staff status may also be given by users who may change
# users, as far as they have all its permissions themselves.
_RIGHTS = ("is_superuser", "user_permissions")


class NewTokenForm(forms.Form):
    """The name, the scope and the lifetime of a new API token."""

    label = forms.CharField(
        label=_("Name"), min_length=validation.LABEL_MIN_LENGTH, max_length=validation.LABEL_MAX_LENGTH
    )
    scope = forms.ChoiceField(label=_("Scope"), choices=TokenScope.choices, initial=TokenScope.READER)
    expires_hours = forms.IntegerField(
        label=_("Expires after (hours)"),
        min_value=validation.EXPIRES_HOURS_MIN,
        max_value=validation.EXPIRES_HOURS_MAX,
        initial=validation.EXPIRES_HOURS_DEFAULT,
    )


_CREATED = HISTORY.register("token_created", gettext_noop("Created the token."))
_REVOKED = HISTORY.register("token_revoked", gettext_noop("Revoked the token %(label)s."))


def _revoke(token: ApiToken, user: str) -> Message:
    if not services.revoke_token(token_id=str(token.pk), revoked_by=user).was_active:
        raise Conflict(_already_revoked(token))
    return _REVOKED(label=token.label)


def _already_revoked(token: ApiToken) -> str:
    return _now("The token %(label)s is already revoked.") % {"label": token.label}


@admin.register(ApiToken)
class ApiTokenAdmin(OperationsMixin[ApiToken], ReadOnlyAdmin[ApiToken]):
    """Tokens can be created and revoked. Their text is shown once; nothing else of a token changes."""

    list_display = (
        "name",
        "state",
        "scope",
        "created_by",
        "created_at",
        "expires_at",
        "last_used_at",
        "revoked_at",
    )
    list_filter = ("scope",)
    search_fields = ("label", "created_by")
    fields = list_display
    readonly_fields = list_display
    ordering = ("-created_at", "-id")
    operations = (
        Operation(
            slug="revoke",
            label=_("Revoke"),
            confirm_text=lambda token: (
                _now("Revoke the token %(label)s? Programs that use it lose access at once.")
                % {"label": token.label}
            ),
            run=_revoke,
            refusal=lambda token: _already_revoked(token) if token.revoked_at else "",
            is_bulk=True,
        ),
    )

    @admin.display(description=_("Name"), ordering="label")
    def name(self, token: ApiToken) -> str:
        """Return the label of the token."""
        return token.label

    @coloured(_("state"), {"active": "success", "expired": "warning", "revoked": "danger"})
    def state(self, token: ApiToken) -> Coloured:
        """Return whether the token is active, expired or revoked."""
        if token.revoked_at is not None:
            return Coloured(("revoked", _now("Revoked")))
        if token.expires_at <= server_now():
            return Coloured(("expired", _now("Expired")))
        return Coloured(("active", _now("Active")))

    def has_add_permission(self, request: HttpRequest, *_arguments: Any) -> bool:
        """Allow users with the permission to add tokens."""
        return may(request, "collector_auth.add_apitoken")

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the form of a new token; only the response to its POST shows the token's text."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = NewTokenForm(request.POST if request.method == "POST" else None)
        created = self._create(request, form) if form.is_bound and form.is_valid() else None
        context = self.admin_site.each_context(request) | {
            "title": _("New API token"),
            "opts": self.opts,
            "form": themed(form),
            "created": created,
        }
        response = TemplateResponse(request, "collector_auth/new_token.html", context)
        add_never_cache_headers(response)
        return response

    def _create(self, request: HttpRequest, form: NewTokenForm) -> services.CreatedToken | None:
        try:
            created = services.create_token(created_by=name_of_user(request), **form.cleaned_data)
        except InvalidInput as error:
            for field, problems in (error.fields or {}).items():
                form.add_error(field, problems)
            return None
        note_history(request, [ApiToken.objects.get(pk=created.id)], _CREATED(), flag=ADDITION)
        return created


class _NamedPermissions:
    """A model admin whose form shows the permissions in the user's language."""

    def formfield_for_manytomany(
        self, db_field: Any, request: HttpRequest | None = None, **kwargs: Any
    ) -> Any:
        """Return the form field: a :class:`PermissionsField` for permissions, else Django's."""
        if db_field.related_model is Permission:
            kwargs["form_class"] = PermissionsField
        return super().formfield_for_manytomany(db_field, request, **kwargs)  # type: ignore[misc]


@admin.register(User)
class UserAdmin(_NamedPermissions, DjangoUserAdmin, CollectorModelAdmin[User]):  # type: ignore[type-arg]
    """Users who may log in. They are deactivated, never deleted: the history log refers to them."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    readonly_fields = ("last_login", "date_joined")
    list_filter = ("is_staff", "is_superuser", "is_active")
    add_fieldsets = (
        (
            None,
            {
                "fields": DjangoUserAdmin.add_fieldsets[0][1]["fields"],
                "description": _(
                    "Then, on the next page, set “Staff status”, without which nobody can log in here, and "
                    "choose the groups: viewer, analyst, operator or admin."
                ),
            },
        ),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        """Make the fields that grant rights read-only for all users but superusers."""
        fixed = tuple(super().get_readonly_fields(request, obj))
        return fixed if is_superuser(request) else fixed + _RIGHTS

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Let nobody but superusers change a user, or its password, who may do more than they may."""
        if not super().has_change_permission(request, obj):
            return False
        return obj is None or is_superuser(request) or is_within_rights(request, obj)

    def formfield_for_manytomany(
        self, db_field: Any, request: HttpRequest | None = None, **kwargs: Any
    ) -> Any:
        """Return the form field; it offers the groups that the user may give."""
        if db_field.name == "groups" and request is not None and not is_superuser(request):
            kwargs["queryset"] = groups_within_rights(request)
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Refuse: deleting a user would also delete its entries in the history log."""
        return False


@admin.register(Group)
class GroupAdmin(_NamedPermissions, DjangoGroupAdmin, CollectorModelAdmin[Group]):
    """Rights that several users share; only superusers change them."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Allow superusers."""
        return is_superuser(request)

    def has_change_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        """Allow superusers."""
        return is_superuser(request)

    def has_delete_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        """Allow superusers."""
        return is_superuser(request)
