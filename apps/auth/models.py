"""The stored API tokens, and the identities of users at an OpenID provider."""

from __future__ import annotations

from django.contrib.auth.models import User
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


class OidcIdentity(models.Model):
    """A user of an OpenID provider, who is a user here.

    The issuer and the subject name a person forever; a name or a mail address may be given to another one.
    """

    issuer = models.CharField(_("issuer"), max_length=255)
    subject = models.CharField(_("subject"), max_length=255)
    user = models.ForeignKey(
        User, on_delete=models.CASCADE, related_name="oidc_identities", verbose_name=_("user")
    )
    created_at = models.DateTimeField(_("created at"))
    last_login_at = models.DateTimeField(_("last login"), null=True, blank=True)

    class Meta:
        verbose_name = _("identity at the provider")
        verbose_name_plural = _("identities at the provider")
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["issuer", "subject"], name="oidc_identity")]
        indexes = [
            # A unique index is partial on this backend, and MongoDB does not use it for reads.
            models.Index(fields=["issuer", "subject"], name="oidc_identity_read"),
        ]

    def __str__(self) -> str:
        return f"{self.issuer} {self.subject}"
