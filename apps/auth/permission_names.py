"""The names of permissions in the language of the user; Django stores them in English."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib.auth.models import Permission
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    _Field = forms.ModelMultipleChoiceField[Permission]
else:
    _Field = forms.ModelMultipleChoiceField

_NAMES: Mapping[str, str | Promise] = {
    "add": _("Can add %(model)s"),
    "change": _("Can change %(model)s"),
    "delete": _("Can delete %(model)s"),
    "view": _("Can view %(model)s"),
}


class PermissionsField(_Field):
    """A choice of permissions, each shown with its model and what it allows."""

    def label_from_instance(self, obj: Any) -> str:
        """Return the model with its app, and what the permission allows."""
        return f"{obj.content_type} | {name_of(obj)}"


def name_of(permission: Permission) -> str:
    """Return what a permission allows; the stored name of a custom permission is translated as a whole."""
    kind, _separator, model = permission.codename.partition("_")
    if kind in _NAMES and model == permission.content_type.model:
        return str(_NAMES[kind]) % {"model": permission.content_type.name}
    return gettext(permission.name)
