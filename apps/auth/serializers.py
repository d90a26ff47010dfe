"""The request and response bodies of this app."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework import serializers

from apps.auth.choices import CredentialKind, TokenScope
from apps.auth.passwords import validation
from apps.core.api.serializers import (
    ExactSerializer,
    StrictChoiceField,
    StrictIntegerField,
    StrictTextField,
    UnpaddedTextField,
    UtcDateTimeField,
)
from apps.core.errors import InvalidInput


class LoginSerializer(ExactSerializer):
    """A username and its password."""

    examples: ClassVar = {"A user": {"username": "admin", "password": "correct horse battery staple"}}

    # The service would trim it, but a login has the name that was sent.
    username = UnpaddedTextField(max_length=validation.USERNAME_MAX_LENGTH)
    password = StrictTextField(
        max_length=validation.PASSWORD_MAX_LENGTH,
        is_secret=True,
        write_only=True,
        style={"input_type": "password"},
    )


class LoginResultSerializer(serializers.Serializer[Any]):
    """A login token."""

    token = serializers.CharField()
    username = serializers.CharField()
    expires_at = UtcDateTimeField()


class NewTokenSerializer(ExactSerializer):
    """The properties of a new API token."""

    examples: ClassVar = {
        "For a reader": {"label": "dashboard"},
        "For a program that operates": {"label": "nightly job", "expires_hours": 8760, "scope": "admin"},
    }

    label = StrictTextField(  # type: ignore[assignment]
        min_length=validation.LABEL_MIN_LENGTH, max_length=validation.LABEL_MAX_LENGTH, trim_whitespace=True
    )
    expires_hours = StrictIntegerField(
        min_value=validation.EXPIRES_HOURS_MIN,
        max_value=validation.EXPIRES_HOURS_MAX,
        default=validation.EXPIRES_HOURS_DEFAULT,
    )
    scope = StrictChoiceField(choices=TokenScope.choices, default=TokenScope.READER)

    def validate_label(self, value: str) -> str:
        """Apply the rule of the service here, so that its message comes with those of the other fields."""
        try:
            return validation.clean_label(value)
        except InvalidInput as error:
            raise serializers.ValidationError((error.fields or {})["label"]) from error


class CreatedTokenSerializer(serializers.Serializer[Any]):
    """A new API token; its text is shown only once."""

    token = serializers.CharField()
    id = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    expires_at = UtcDateTimeField()


class TokenSerializer(serializers.Serializer[Any]):
    """One API token in the list."""

    id = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    scope = serializers.ChoiceField(choices=TokenScope.choices)
    created_by = serializers.CharField()
    created_at = UtcDateTimeField()
    expires_at = UtcDateTimeField()
    last_used_at = UtcDateTimeField(allow_null=True)
    revoked = serializers.BooleanField()


class TokenPageSerializer(serializers.Serializer[Any]):
    """A page of API tokens."""

    tokens = TokenSerializer(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class RevokedTokenSerializer(serializers.Serializer[Any]):
    """A revoked API token."""

    id = serializers.CharField()
    revoked = serializers.BooleanField()


class MeSerializer(serializers.Serializer[Any]):
    """Who the caller is."""

    username = serializers.CharField()
    scope = serializers.ChoiceField(choices=TokenScope.choices)
    expires_at = UtcDateTimeField()
    kind = serializers.ChoiceField(choices=CredentialKind.choices)
