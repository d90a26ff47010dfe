"""The stored API tokens."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.auth.choices import TokenScope


class ApiToken(models.Model):
    """A long-lived credential for a program; its text is shown once, and only its hash is stored.

    Rows are never deleted: a revoked token stays as the record of who had access until when.
    """

    token_hash = models.CharField(_("SHA-256 of the token"), max_length=64, unique=True, editable=False)
    label = models.CharField(_("label"), max_length=50)
    scope = models.CharField(_("scope"), max_length=16, choices=TokenScope.choices, default=TokenScope.READER)
    created_at = models.DateTimeField(_("created at"))
    expires_at = models.DateTimeField(_("expires at"))
    last_used_at = models.DateTimeField(_("last used at"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True)
    created_by = models.CharField(_("created by"), max_length=150)

    class Meta:
        verbose_name = _("API token")
        verbose_name_plural = _("API tokens")
        ordering = ("-created_at", "-id")
        indexes = [
            # A unique index is partial on this backend, and MongoDB does not use it for reads.
            models.Index(fields=["token_hash"], name="api_token_hash"),
            models.Index(fields=["-created_at", "-id"], name="api_token_newest"),
        ]

    def __str__(self) -> str:
        return self.label
