"""The permissions of the user of a request."""

from __future__ import annotations

from typing import cast

from django.contrib.auth.models import User
from django.http import HttpRequest


def may(request: HttpRequest, permission: str) -> bool:
    """Whether the user has the permission, such as ``app.change_model``."""
    return cast("User", request.user).has_perm(permission)


def may_view(request: HttpRequest, permission: str) -> bool:
    """Whether the user has the view permission, or the change permission of the same model."""
    return may(request, permission) or may(request, permission.replace(".view_", ".change_"))


def may_on(request: HttpRequest, verb: str, model: str) -> bool:
    """Whether the user may view or change (``verb``) the rows of a model, such as ``app.model``."""
    app_label, _dot, model_name = model.partition(".")
    return may_view(request, f"{app_label}.{verb}_{model_name}")


def is_superuser(request: HttpRequest) -> bool:
    """Whether the user is an active superuser."""
    user = cast("User", request.user)
    return user.is_active and user.is_superuser


def name_of_user(request: HttpRequest) -> str:
    """Return the name of the user, for the services and the history log."""
    return request.user.get_username()
