"""API tokens in the Django admin: to look at and to revoke."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from apps.auth import services
from apps.auth.models import ApiToken


@admin.register(ApiToken)
class ApiTokenAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Read-only, because a token's text can only be shown by the API call that creates it."""

    list_display = ("label", "scope", "created_by", "created_at", "expires_at", "last_used_at", "revoked_at")
    list_filter = ("scope",)
    search_fields = ("label", "created_by")
    fields = list_display
    readonly_fields = list_display
    ordering = ("-created_at", "-id")
    show_full_result_count = False
    actions = ("revoke",)

    @admin.action(description=_("Revoke the selected tokens"), permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> None:
        """Refuse the selected tokens everywhere within a second."""
        revoked_by = request.user.get_username()
        results = [services.revoke_token(token_id=str(token.pk), revoked_by=revoked_by) for token in queryset]
        count = sum(result.was_active for result in results)
        message = ngettext("%(count)d token was revoked.", "%(count)d tokens were revoked.", count)
        self.message_user(request, message % {"count": count}, messages.SUCCESS)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody adds tokens here."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: ApiToken | None = None) -> bool:
        """Nobody deletes tokens: a revoked one is the record of who had access."""
        return False
